"use strict";

// A TCP proxy in user space that can do to a connection what networks and servers do: delay, throttle, lose, corrupt,
// cut. Most faults hold for the connections of the moment and for later ones, until `heal()`; `strand` and `cut` harm
// those of the moment only.

const net = require("node:net");

const DIRECTIONS = ["up", "down"];
/** A side that is this far behind makes the proxy stop reading from the other; a throttled one has less to buffer in. */
const HIGH_WATER = 8 * 1024 * 1024;
const THROTTLED_WATER = 64 * 1024;

/** No fault: what every direction starts with. */
const clean = () => ({ delayMs: 0, bytesPerSecond: Infinity, swallow: false, resetAfter: null, transform: null });

/** One direction of one connection: bytes leave in the order in which they came, each when it is due. */
class Flow {
  constructor(link, from, to, fault) {
    this.link = link;
    this.from = from;
    this.to = to;
    this.fault = fault;
    this.stranded = false;
    this.held = false;
    this.passed = 0;
    this.queue = [];
    this.queued = 0;
    this.due = 0;
    this.timer = null;
    from.on("data", (chunk) => this.take(chunk));
    // A lost packet may carry the end of a connection as well.
    from.on("end", () => this.lost || this.later(null));
    to.on("drain", () => this.flow());
  }

  get lost() {
    return this.stranded || this.fault.swallow;
  }

  take(chunk) {
    if (this.lost) return;
    const { transform, resetAfter } = this.fault;
    const bytes = transform ? transform(chunk, this) : chunk;
    const left = resetAfter === null ? Infinity : resetAfter(this) - this.passed;
    this.later(left < bytes.length ? bytes.subarray(0, Math.max(left, 0)) : bytes);
    if (left < bytes.length) this.later("reset");
  }

  later(item) {
    const { delayMs, bytesPerSecond } = this.fault;
    const size = Buffer.isBuffer(item) ? item.length : 0;
    this.passed += size;
    const now = performance.now();
    this.due = Math.max(now + delayMs, this.due) + (size / bytesPerSecond) * 1000;
    if (!this.held && this.queue.length === 0 && this.due <= now) return this.leave(item);
    this.queue.push({ item, due: this.due });
    this.queued += size;
    this.flow();
    if (this.timer === null) this.wait();
  }

  wait() {
    if (this.held || this.queue.length === 0) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      // Timers may come a fraction of a millisecond early.
      while (this.queue.length > 0 && this.queue[0].due <= performance.now() + 1) {
        const { item } = this.queue.shift();
        this.queued -= Buffer.isBuffer(item) ? item.length : 0;
        this.leave(item);
      }
      this.flow();
      this.wait();
    }, Math.max(0, this.queue[0].due - performance.now()));
  }

  /** Reads on, or waits until less is under way. */
  flow() {
    const water = this.fault.bytesPerSecond < Infinity ? THROTTLED_WATER : HIGH_WATER;
    if (this.queued + this.to.writableLength > water) this.from.pause();
    else this.from.resume();
  }

  leave(item) {
    if (item === "reset") return this.link.reset();
    if (this.lost || this.to.destroyed) return;
    if (item === null) return void this.to.end();
    if (!this.to.write(item)) this.flow();
  }

  hold() {
    this.held = true;
    clearTimeout(this.timer);
    this.timer = null;
  }

  release() {
    this.held = false;
    this.wait();
  }

  drop() {
    this.hold();
    this.queue.length = 0;
  }
}

/** A client's connection and ours to the server. */
class Link {
  constructor(proxy, client, server) {
    this.proxy = proxy;
    this.client = client;
    this.server = server;
    this.up = new Flow(this, client, server, proxy.faults.up);
    this.down = new Flow(this, server, client, proxy.faults.down);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => this.closed(socket));
    }
  }

  other(socket) {
    return socket === this.client ? this.server : this.client;
  }

  closed(socket) {
    const flow = socket === this.server ? this.down : this.up;
    // What is under way still arrives, unless the network loses it.
    if (flow.queue.length === 0 && !flow.lost) this.other(socket).destroy();
    else if (socket === this.client && !flow.held) this.reset();
    if (this.client.destroyed && !flow.held) this.proxy.links.delete(this);
  }

  strand(direction) {
    for (const one of DIRECTIONS) if (direction === one || direction === "both") this[one].stranded = true;
  }

  reset() {
    this.up.drop();
    this.down.drop();
    for (const socket of [this.client, this.server]) if (!socket.destroyed) socket.resetAndDestroy();
    this.proxy.links.delete(this);
  }
}

class Proxy {
  /** `target` has a `port` and perhaps a `host`; a RedisServer is one. `host` and `port`: where to listen. */
  constructor(target, { host = "127.0.0.1", port = 0 } = {}) {
    this.target = target;
    this.host = host;
    this.port = port;
    this.links = new Set();
    this.held = new Set();
    this.faults = { up: clean(), down: clean() };
    this.hole = false;
    /** Connections that clients made to the proxy. */
    this.accepted = 0;
    this.listener = null;
  }

  get url() {
    return `redis://${this.host}:${this.port}`;
  }

  /** Listens: on a free port unless one was asked for, and on the same one ever after. */
  async start() {
    const listener = net.createServer({ allowHalfOpen: true }, (client) => this.accept(client));
    await new Promise((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(this.port, this.host, resolve);
    });
    this.listener = listener;
    this.port = listener.address().port;
    return this;
  }

  accept(client) {
    this.accepted++;
    if (this.hole) {
      this.held.add(client);
      client.on("error", () => {});
      client.on("close", () => this.held.delete(client));
      return client.resume();
    }
    const { host = "127.0.0.1", port } = this.target;
    this.links.add(new Link(this, client, net.connect({ host, port, allowHalfOpen: true })));
  }

  /** Sets a fault of one direction ("up": to the server, "down": replies) or of both. */
  set(direction, fault) {
    for (const one of DIRECTIONS) if (direction === one || direction === "both") Object.assign(this.faults[one], fault);
  }

  /** Everything arrives that much later. */
  delay(ms, direction = "both") {
    this.set(direction, { delayMs: ms });
  }

  /** No more bytes than that a second. */
  throttle(bytesPerSecond, direction = "down") {
    this.set(direction, { bytesPerSecond });
  }

  /** Bytes are read and lost, on present and future connections, while the sockets stay open. */
  swallow(direction = "both") {
    this.set(direction, { swallow: true });
  }

  /** Half-open: the connections of this moment lose all bytes for ever; new ones are sound. */
  strand(direction = "both") {
    for (const link of this.links) link.strand(direction);
  }

  /** Stalls the connections of this moment: their bytes go on when the function that is returned is called. */
  hold(direction = "both") {
    const flows = [...this.links].flatMap((link) => DIRECTIONS.filter((one) => [one, "both"].includes(direction)).map((one) => link[one]));
    for (const flow of flows) flow.hold();
    return () => flows.forEach((flow) => flow.release());
  }

  /** Cuts the clients' side of the connections of this moment; the server hears nothing of it. */
  cutClients() {
    for (const link of this.links) link.client.resetAndDestroy();
  }

  /** Accepts, and never answers. Connections of that time stay mute for ever. */
  blackHole() {
    this.hole = true;
  }

  /** Each connection is reset when so many bytes of replies have passed; `bytes` may be a function of the flow. */
  resetAfter(bytes, direction = "down") {
    this.set(direction, { resetAfter: typeof bytes === "function" ? bytes : () => bytes });
  }

  /** Replaces the bytes of a direction by what the function makes of them; it gets their flow, too. */
  corrupt(transform, direction = "down") {
    this.set(direction, { transform });
  }

  /** Cuts the connections of this moment with a reset; new ones are sound. */
  cut() {
    for (const link of this.links) link.reset();
    for (const socket of this.held) socket.destroy();
  }

  /** Refuses connections, and cuts those that are there. */
  async refuse() {
    const { listener } = this;
    this.listener = null;
    const closed = listener && new Promise((resolve) => listener.close(resolve));
    this.cut();
    await closed;
  }

  /** Sends new connections elsewhere. Old ones stay where they are. */
  point(target) {
    this.target = target;
  }

  /** No fault any more. What was lost stays lost. */
  async heal() {
    this.hole = false;
    this.set("both", clean());
    if (!this.listener) await this.start();
  }

  async stop() {
    if (this.listener) await this.refuse();
    else this.cut();
  }
}

/** Starts one in front of a server. */
function startProxy(target, options) {
  return new Proxy(target, options).start();
}

module.exports = { startProxy, Proxy };
