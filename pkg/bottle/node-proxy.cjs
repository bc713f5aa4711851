// Put before a program of Node by NODE_OPTIONS, in a bottle whose manifest has
// "clients: [node]". Node before 22.21 and 24.5 asks no proxy by itself: here http,
// https and fetch reach their hosts by CONNECT through the proxy of https_proxy, but
// for those of no_proxy. An agent or a dispatcher of the program's own is left alone.
"use strict";

const [major, minor] = process.versions.node.split(".").map(Number);
const able = major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21);
const named = process.env.https_proxy || process.env.HTTPS_PROXY;

if (!able && named) {
  const net = require("net"), tls = require("tls");
  const proxy = new URL(named);
  const past = (process.env.no_proxy || process.env.NO_PROXY || "").split(/[\s,]+/).filter(Boolean);

  // direct reports whether the host is not for the proxy.
  const direct = (host, port) =>
    (host === proxy.hostname && String(port) === proxy.port) ||
    past.some(p => p === "*" || p === host || (p[0] === "." && host.endsWith(p)));

  // tunnel calls done with an error, or a socket that leads to the host.
  const tunnel = (host, port, done) => {
    const authority = (net.isIPv6(host) ? "[" + host + "]" : host) + ":" + port;
    const socket = net.connect(proxy.port, proxy.hostname);
    let head = "";
    const over = (error, use) => {
      socket.removeListener("readable", read);
      socket.removeListener("error", over);
      socket.removeListener("end", cut);
      if (error) socket.destroy();
      done(error, use);
    };
    const cut = () => over(new Error("the proxy has closed the connection to " + authority));
    const read = () => {
      for (let data; (data = socket.read()) !== null;) {
        head += data.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0 && head.length < 16384) continue;
        const status = /^HTTP\/1\.[01] (\d{3})/.exec(head);
        if (end < 0 || !status || status[1] !== "200")
          return over(new Error("the proxy has refused a tunnel to " + authority + ": " + head.split("\r\n")[0]));
        if (head.length > end + 4) socket.unshift(Buffer.from(head.slice(end + 4), "latin1"));
        return over(null, socket);
      }
    };
    socket.on("readable", read);
    socket.once("error", over);
    socket.once("end", cut);
    socket.write("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n");
  };

  // http and https, of whatever agent does not connect by itself.
  for (const [name, port] of [["http", 80], ["https", 443]]) {
    const agent = require(name).Agent.prototype, plain = agent.createConnection;
    agent.createConnection = function createConnection(options, done) {
      const host = options && options.host, to = (options && options.port) || port;
      if (!host || typeof done !== "function" || options.socketPath || options.socket || direct(host, to))
        return plain.apply(this, arguments);
      tunnel(host, to, (error, socket) => {
        if (error || name === "http") return done(error, socket);
        done(null, plain.call(this, { ...options, socket }));
      });
    };
  }

  // connect is undici's, which fetch is built on.
  const connect = (options, done) => {
    const secure = options.protocol === "https:", host = options.hostname.replace(/^\[|\]$/g, "");
    const port = options.port || (secure ? 443 : 80);
    const use = (error, socket) => {
      if (error || !secure) return done(error, socket);
      const inner = tls.connect({ socket, servername: options.servername || (net.isIP(host) ? "" : host), ALPNProtocols: ["http/1.1"] });
      inner.once("error", done);
      inner.once("secureConnect", () => {
        inner.removeListener("error", done);
        done(null, inner);
      });
    };
    if (!direct(host, port)) return tunnel(host, port, use);
    const socket = net.connect(port, host);
    socket.once("error", use);
    socket.once("connect", () => {
      socket.removeListener("error", use);
      use(null, socket);
    });
  };

  // The dispatcher that all use is there once undici is loaded, which takes longer
  // than most programs of Node do: so at the first use and not before.
  const key = Symbol.for("undici.globalDispatcher.1");
  let looked = false;
  const dispatch = () => {
    if (looked) return;
    looked = true;
    void globalThis.Headers; // loads it
    const now = globalThis[key];
    if (now && now.constructor.name === "Agent") globalThis[key] = new now.constructor({ connect });
  };
  const { fetch } = globalThis;
  if (fetch) globalThis.fetch = function (...args) {
    dispatch();
    return fetch.apply(this, args);
  };
  for (const name of ["WebSocket", "EventSource"]) {
    const was = Object.getOwnPropertyDescriptor(globalThis, name);
    if (!was || !was.get || !was.configurable) continue;
    Object.defineProperty(globalThis, name, {
      ...was,
      get() {
        dispatch();
        return was.get.call(globalThis);
      },
    });
  }
}
