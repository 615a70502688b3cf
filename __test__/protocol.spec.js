"use strict";

// Servers that misbehave: nonsense, pieces, huge lengths, silence, sudden ends. A call is answered rightly or rejects
// with a code, and the process lives.

const net = require("node:net");
const { serial: test } = require("ava");
const { loadFor, loadFresh, everyCall, outcome, until } = require("./support/addon.js");
const { startFake, fakeFor, dribble, hello, bulk, array, page } = require("./support/fake-redis.js");

/** A copy of the package for one test, with a deadline that comes soon. */
function client(t, fake, config) {
  return loadFor(t, { ...fake.config, CC_REDIS_TIMEOUT_MS: 300, ...config });
}

const FAILURES = ["REDIS_UNAVAILABLE", "REDIS_TIMEOUT", "REDIS_REPLY"];

/** Every method against that answer: a result or a rejection with a code that fits. */
async function survives(t, answer, greet) {
  const fake = await fakeFor(t, answer, greet);
  const lib = client(t, fake);
  const map = new lib.BaseMap("ns", -1);
  for (const { error } of await Promise.all(everyCall(map).map(outcome))) {
    if (error) t.true(FAILURES.includes(error.code), `${error.code}: ${error.message}`);
  }
  // However bad the server was: when it behaves, on a new connection, the package works again.
  fake.greet = undefined;
  fake.answer = () => bulk("healed");
  fake.drop();
  await until(async () => (await outcome(map.get("k"))).value === "healed", "a call succeeds");
  return fake;
}

for (const [name, bytes] of [
  ["words", "hello, who is there?\r\n"],
  ["a web page", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"],
  ["NUL bytes", Buffer.alloc(100)],
  ["random bytes", Buffer.from(Array.from({ length: 500 }, (_, i) => (i * 197 + 13) % 256))],
  ["line ends", "\r\n\r\n\r\n"],
  ["a length that is no number", "$abc\r\n"],
  ["a number that is none", ":12x4\r\n"],
  ["a huge array", "*9223372036854775807\r\n"],
  ["a huge text", "$9223372036854775807\r\n"],
  ["a length beyond 64 bits", "$99999999999999999999999999\r\n"],
  ["a large array that never comes", "*1000000000\r\n"],
  ["a large text that never comes", "$4000000000\r\n"],
  ["a negative length", "$-2\r\n"],
  ["a negative verbatim length", "=-1\r\n"],
  ["a negative array", "*-5\r\n"],
  ["a huge map", "%4611686018427387904\r\n"],
  ["arrays nested a hundred thousand deep", "*1\r\n".repeat(100_000)],
  ["a text without its end", "$3\r\nabcde\r\n"],
  ["two answers to one question", "$1\r\na\r\n$1\r\nb\r\n"],
  ["a streamed text", "$?\r\n;4\r\nHell\r\n;0\r\n"],
  ["an attribute before the answer", "|1\r\n+key\r\n+value\r\n$1\r\nx\r\n"],
]) {
  test(`${name} in place of an answer is survived`, async (t) => {
    await survives(t, () => bytes);
  });

  test(`${name} in place of the handshake's answer is survived`, async (t) => {
    await survives(t, () => bulk("x"), () => bytes);
  });
}

for (const [name, bytes] of [
  ["an integer", ":5\r\n"],
  ["a simple text", "+OK\r\n"],
  ["null", "$-1\r\n"],
  ["null of RESP3", "_\r\n"],
  ["a null array", "*-1\r\n"],
  ["an array", array([bulk("a"), bulk("b")])],
  ["an empty array", "*0\r\n"],
  ["an array of arrays", array([array([bulk("a")]), array([])])],
  ["a boolean", "#t\r\n"],
  ["a double", ",3.25\r\n"],
  ["infinity", ",inf\r\n"],
  ["a big number", "(3492890328409238509324850943850943825024385\r\n"],
  ["a verbatim text", "=7\r\ntxt:abc\r\n"],
  ["a map", `%1\r\n${bulk("a")}:1\r\n`],
  ["a set", `~1\r\n${bulk("a")}`],
  ["an error", "-ERR no\r\n"],
  ["a bulk error", "!6\r\nERR no\r\n"],
  ["a page of other keys", page("0", ["other:k", "n", "ns"])],
]) {
  test(`an answer of another kind than asked for is survived: ${name}`, async (t) => {
    await survives(t, () => bytes);
  });
}

for (const cursor of ["abc", "-1", "18446744073709551615", "99999999999999999999999", "", "00", " 0"]) {
  test(`a scan whose cursor is ${JSON.stringify(cursor)} ends`, async (t) => {
    await survives(t, ([name, given]) => (name === "SCAN" ? page(given === "0" ? cursor : "0", ["ns:k"]) : "+OK\r\n"));
  });
}

test("replies that come byte by byte are put together", async (t) => {
  const fake = await fakeFor(t, ([name, ...args], socket) => {
    const reply = {
      GET: () => bulk(`value of ${args[0]} ñ日🚀`),
      SCAN: () => page("0", ["ns:a", "ns:b"]),
      MGET: () => array(args.map(bulk)),
      EXISTS: () => ":1\r\n",
    }[name]();
    dribble(socket, reply);
  }, ([name], socket, id) => (name === "HELLO" ? void dribble(socket, hello(id)) : "+OK\r\n"));
  const lib = client(t, fake, { CC_REDIS_TIMEOUT_MS: 10_000 });
  const map = new lib.BaseMap("ns", -1);
  t.is(await map.get("k"), "value of ns:k ñ日🚀");
  t.true(await map.has("k"));
  t.deepEqual(await map.toArray(), [["a", "ns:a"], ["b", "ns:b"]]);
});

test("replies cut at any place are put together", async (t) => {
  const replies = Array.from({ length: 20 }, (_, i) => bulk(`value ${"x".repeat(i * 7)} ${i} \r\n $3 *1`));
  const stream = Buffer.from(replies.join(""));
  for (let cut = 1; cut < stream.length; cut += 11) {
    let asked = 0;
    const fake = await startFake((_, socket) => {
      if (++asked < 20) return;
      socket.write(stream.subarray(0, cut), () => setImmediate(() => socket.write(stream.subarray(cut))));
    });
    const lib = loadFresh(fake.config);
    const values = await Promise.all(replies.map((_, i) => new lib.BaseMap("ns").get(`k${i}`)));
    t.deepEqual(values.map(bulk), replies, `cut at ${cut}`);
    await lib.close();
    await fake.stop();
  }
});

test("ten thousand replies in one write all find their calls", async (t) => {
  let waiting = [];
  const fake = await fakeFor(t, ([, key], socket) => {
    waiting.push(bulk(key));
    if (waiting.length === 10_000) socket.write(waiting.join(""));
  });
  const lib = client(t, fake, { CC_REDIS_TIMEOUT_MS: 10_000 });
  const map = new lib.BaseMap("ns");
  const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`);
  t.deepEqual(await Promise.all(keys.map((key) => map.get(key))), keys.map((key) => `ns:${key}`));
  waiting = [];
});

test("push messages between replies disturb nobody", async (t) => {
  const push = `>2\r\n${bulk("invalidate")}*1\r\n${bulk("ns:other")}`;
  const fake = await fakeFor(t, ([, key]) => push + bulk(key) + push);
  const map = new (client(t, fake).BaseMap)("ns");
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
  t.deepEqual(await Promise.all(keys.map((key) => map.get(key))), keys.map((key) => `ns:${key}`));
});

test("a connection that ends in the middle of a reply is replaced, and the call succeeds", async (t) => {
  const fake = await fakeFor(t, ([, key], socket, id) => {
    if (id > 3) return bulk(`${key} at last`);
    socket.end("$20\r\nhalf a re");
  });
  const map = new (client(t, fake, { CC_REDIS_TIMEOUT_MS: 10_000 }).BaseMap)("ns");
  t.deepEqual(await Promise.all([map.get("a"), map.get("b")]), ["ns:a at last", "ns:b at last"]);
  t.is(fake.connections, 4);
});

test("a connection that is reset in the middle of the handshake is tried again", async (t) => {
  const fake = await fakeFor(t, () => bulk("v"), (args, socket, id) => {
    if (id <= 3) return void socket.resetAndDestroy();
    return args[0] === "HELLO" ? hello(id) : "+OK\r\n";
  });
  t.is(await new (client(t, fake, { CC_REDIS_TIMEOUT_MS: 10_000 }).BaseMap)("ns").get("k"), "v");
});

test("a server that hangs up on everybody is not hammered", async (t) => {
  const fake = await fakeFor(t, () => bulk("v"), (args, socket) => void socket.destroy());
  const { error } = await outcome(new (client(t, fake, { CC_REDIS_TIMEOUT_MS: 1000 }).BaseMap)("ns").get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.true(fake.connections >= 3 && fake.connections <= 40, `${fake.connections} attempts in a second`);
});

test("a scan may take longer than the deadline, which is that of one page", async (t) => {
  const fake = await fakeFor(t, ([name, cursor], socket) => {
    const next = Number(cursor) + 1;
    const reply = name === "SCAN" ? page(String(next % 20), [`ns:k${cursor}`]) : "+OK\r\n";
    setTimeout(() => socket.write(reply), 50);
  });
  const map = new (client(t, fake, { CC_REDIS_TIMEOUT_MS: 400 }).BaseMap)("ns");
  t.is(await map.size(), 20);
});

test("a server that accepts and says nothing is a rejection at the deadline", async (t) => {
  const silent = net.createServer(() => {});
  await new Promise((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const lib = loadFresh({ CC_REDIS_URL: `redis://127.0.0.1:${silent.address().port}`, CC_REDIS_TIMEOUT_MS: 200 });
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.true(["REDIS_UNAVAILABLE", "REDIS_TIMEOUT"].includes(error?.code), String(error));
  await lib.close();
  silent.close();
});

test("a server that knows no HELLO is spoken to in the older protocol, with AUTH", async (t) => {
  const seen = [];
  const fake = await fakeFor(t, ([name, ...args]) => {
    if (name === "SCAN") return page("0", ["ns:a"]);
    if (name === "MGET") return array(args.map(bulk));
    return name === "GET" ? "$-1\r\n" : ":1\r\n";
  }, (args) => {
    seen.push(args);
    return args[0] === "HELLO" ? "-ERR unknown command `HELLO`, with args beginning with: `3`\r\n" : "+OK\r\n";
  });
  const lib = client(t, fake, { CC_REDIS_URL: `redis://bot:pw@127.0.0.1:${fake.port}` });
  const map = new lib.BaseMap("ns", -1);
  t.is(await map.get("k"), null);
  t.true(await map.has("k"));
  t.deepEqual(await map.toArray(), [["a", "ns:a"]]);
  t.deepEqual(seen.find(([name]) => name === "AUTH"), ["AUTH", "bot", "pw"]);
});

test("a server that is loading is waited for", async (t) => {
  const fake = await fakeFor(t, () => bulk("v"), (args, socket, id) => {
    if (id <= 3) return "-LOADING Redis is loading the dataset in memory\r\n";
    return args[0] === "HELLO" ? hello(id) : "+OK\r\n";
  });
  t.is(await new (client(t, fake, { CC_REDIS_TIMEOUT_MS: 10_000 }).BaseMap)("ns").get("k"), "v");
});

test("an answer that nobody asked for does not become the next call's", async (t) => {
  let extra = true;
  const fake = await fakeFor(t, ([, key], socket) => {
    if (!extra) return bulk(`answer to ${key}`);
    extra = false;
    socket.write(bulk(`answer to ${key}`) + bulk("nobody asked"));
  });
  const map = new (client(t, fake, { CC_REDIS_TIMEOUT_MS: 10_000 }).BaseMap)("ns");
  t.is(await map.get("a"), "answer to ns:a");
  t.is(await map.get("b"), "answer to ns:b");
  t.is(await map.get("c"), "answer to ns:c");
});

test("a reply of a hundred megabytes arrives while other calls wait their turn", async (t) => {
  const big = Buffer.alloc(100 * 1024 * 1024, "x");
  const fake = await fakeFor(t, ([, key], socket) => {
    if (key !== "ns:big") return bulk(key);
    socket.write(`$${big.length}\r\n`);
    socket.write(big);
    socket.write("\r\n");
  });
  const map = new (client(t, fake, { CC_REDIS_TIMEOUT_MS: 60_000 }).BaseMap)("ns");
  const [value, small] = await Promise.all([map.get("big"), map.get("small")]);
  t.is(value.length, big.length);
  t.is(small, "ns:small");
});

test("a server that reads slowly gets every byte", async (t) => {
  const fake = await fakeFor(t, ([name, key, value]) => (name === "SET" ? "+OK\r\n" : bulk(`${key} ${value}`)));
  const lib = client(t, fake, { CC_REDIS_TIMEOUT_MS: 60_000 });
  const map = new lib.BaseMap("ns", -1);
  await map.set("first", "v");
  const big = "x".repeat(5_000_000);
  await Promise.all(Array.from({ length: 8 }, (_, i) => map.set(`k${i}`, big)));
  const sets = fake.commands.filter(([name, key]) => name === "SET" && key !== "ns:first");
  t.deepEqual(sets.map(([, key]) => key), Array.from({ length: 8 }, (_, i) => `ns:k${i}`));
  t.true(sets.every(([, , value]) => value === big));
});
