import base from "./ava.config.mjs";

// The same test files on a Redis Cluster: `npm test -- ava-cluster` runs some of them, `npm run test:cluster` all.
export default { ...base, require: [...base.require, "./__test__/support/on-cluster.js"] };
