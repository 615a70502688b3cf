import base from "./ava.config.mjs";

// The same test files on the embedded store: `npm test -- ava-store` names them.
export default { ...base, require: [...base.require, "./__test__/support/on-store.js"] };
