"use strict";

// Modules of src/ know each other in one direction: what stands below knows nothing of what stands above.

const test = require("ava");
const { circles, sources } = require("../scripts/lib/circles.js");

const files = (entries) => new Map(Object.entries(entries));

test("no modules of src/ know each other in a circle", (t) => {
  t.deepEqual(circles(sources()), { modules: [], rooms: [] });
});

test("circles are found by paths in any form, and tests, texts and comments make none", (t) => {
  const found = circles(
    files({
      "lib.rs": "pub mod a;\npub mod b;\nmod c;\n",
      "a.rs": "use crate::{b::Thing, c};\nfn f() -> c::X { c::X }\n",
      "b/mod.rs": "mod one;\nmod two;\nmod three;\npub use one::Thing;\n#[cfg(test)]\nmod tests;\n",
      "b/one.rs": "use super::two::{self, Other as Another};\npub struct Thing;\n",
      "b/two.rs": "fn g() { super::three::h(); }\n",
      "b/three.rs": "// crate::b::one\nconst S: &str = \"crate::b::one::Thing\";\npub fn h() -> super::one::Thing { super::one::Thing }\n",
      "b/tests.rs": "use crate::a;\n",
      "c.rs": "#[cfg(test)]\nmod tests {\n    use crate::a;\n}\npub struct X;\n",
    }),
  );
  t.deepEqual(found, { modules: [["b::one", "b::three", "b::two"]], rooms: [] });
});

test("a circle of rooms is found where no two of their modules make one", (t) => {
  const found = circles(
    files({
      "lib.rs": "mod a;\nmod b;\n",
      "a/mod.rs": "mod one;\nmod two;\n",
      "a/one.rs": "use crate::b::one;\n",
      "a/two.rs": "",
      "b/mod.rs": "pub mod one;\nmod two;\n",
      "b/one.rs": "",
      "b/two.rs": "use crate::a::two;\n",
    }),
  );
  t.deepEqual(found, { modules: [], rooms: [["a", "b"]] });
});
