"use strict";

// A program of several processes (the first argument: fork or cluster). Children work, say so, and end in different ways.

const childProcess = require("node:child_process");
const cluster = require("node:cluster");
const http = require("node:http");

const lib = require(process.env.BKN_ROOT);
const map = new lib.BaseMap("family", -1);
const SIZE = 3;

const exitOf = (child) => new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
const messageOf = (child) => new Promise((resolve) => child.once("message", resolve));

const parents = {
  async fork() {
    // The parent has a connection before it forks; the children have their own.
    await map.set("parent", "here");
    const children = Array.from({ length: SIZE }, (_, i) => childProcess.fork(__filename, ["child", String(i)]));
    const ends = children.map(exitOf);
    const seen = await Promise.all(children.map(messageOf));
    children[0].disconnect();
    children[1].kill("SIGKILL");
    children[2].send("end");
    return { seen, ends: await Promise.all(ends), value: await map.get("parent") };
  },
  async cluster() {
    await map.set("parent", "here");
    cluster.setupPrimary({ exec: __filename, args: ["worker"] });
    const workers = Array.from({ length: SIZE }, () => cluster.fork());
    const ends = workers.map(exitOf);
    const [port] = await Promise.all(workers.map(messageOf));
    const ask = () => new Promise((resolve, reject) => {
      const request = http.get({ port, host: "127.0.0.1", agent: false }, (response) => {
        let text = "";
        response.on("data", (chunk) => (text += chunk)).on("end", () => resolve(text));
      });
      request.on("error", reject);
    });
    const seen = [...new Set(await Promise.all(Array.from({ length: 30 }, ask)))];
    workers[0].process.kill("SIGKILL");
    await ends[0];
    seen.push(...new Set(await Promise.all(Array.from({ length: 30 }, ask))));
    for (const worker of workers.slice(1)) worker.disconnect();
    return { seen, ends: await Promise.all(ends), value: await map.get("parent") };
  },
};

const members = {
  async child() {
    const name = process.argv[3];
    await map.set(name, `child ${name}`);
    process.send({ parent: await map.get("parent"), own: await map.get(name) });
    // The channel keeps it alive; calls go on until it ends.
    let over = false;
    process.once("message", () => process.disconnect());
    process.once("disconnect", () => (over = true));
    while (!over) await Promise.all(Array.from({ length: 50 }, () => map.get(name)));
  },
  async worker() {
    const server = http.createServer(async (_, response) => response.end(`${await map.get("parent")}`));
    server.listen(0, "127.0.0.1", () => process.send(server.address().port));
  },
};

const role = process.argv[2];
if (role in members) members[role]();
else parents[role]().then((result) => console.log(JSON.stringify(result)));
