import js from "@eslint/js";
import globals from "globals";

export default [
  // TypeScript is checked by tsc; what stands below is not written by hand.
  { ignores: ["target/**", "bench/results/**", "**/*.ts", "**/*.mts"] },
  js.configs.recommended,
  {
    files: ["**/*.js"],
    languageOptions: { sourceType: "commonjs", ecmaVersion: 2023, globals: globals.node },
    // Sloppy mode hides mistakes that throw in strict mode.
    rules: { strict: ["error", "global"] },
  },
  { files: ["**/*.mjs"], languageOptions: { sourceType: "module", ecmaVersion: 2023, globals: globals.node } },
  {
    rules: {
      // `== null` asks for null and undefined at once; every other `==` is a guess.
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-var": "error",
      "prefer-const": "error",
      // An unused argument often documents a signature; an unused variable is left over.
      "no-unused-vars": ["error", { args: "none", caughtErrors: "none" }],
      // A promise executor that returns something was usually meant to be something else.
      "no-promise-executor-return": "off",
    },
  },
];
