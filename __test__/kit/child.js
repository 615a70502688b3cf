"use strict";

// What the scripts that run as processes of their own share: options come from the parent, the result goes back to it.

/** Calls `main` with what the parent sends; the process ends by itself when nothing is left to do. */
function serve(main) {
  process.once("message", async (options) => {
    const message = await main(options).then(
      (result) => ({ result }),
      (error) => ({ error: String(error?.stack ?? error) }),
    );
    // A channel that is closed at once loses what is still in it.
    process.send(message, () => process.disconnect());
  });
}

/** The milliseconds that something takes. */
async function timed(work) {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

module.exports = { serve, timed };
