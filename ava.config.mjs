export default {
  files: ["__test__/*.spec.js", "__test__/adapters/*.spec.js"],
  // A process for each file: a crash of the addon takes one file with it, and the report names that file.
  workerThreads: false,
  // Of silence, not of a test. The tarball's installation is the slowest.
  timeout: "3m",
  require: ["./__test__/support/titled.js"],
};
