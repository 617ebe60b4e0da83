// A Haraka plugin: every client may relay, and everything goes to SINK_PORT. It answers for the client's name too, so that
// no system waits for a name server. Haraka passes its own constants, OK among them, as globals.
"use strict";

exports.register = function () {
  this.register_hook("lookup_rdns", "nameClient");
  this.register_hook("connect", "allowRelaying");
  this.register_hook("rcpt", "acceptRecipient");
  this.register_hook("get_mx", "routeToSink");
};

exports.nameClient = (next) => next(OK, "localhost");

exports.allowRelaying = (next, connection) => {
  connection.relaying = true;
  next();
};

exports.acceptRecipient = (next) => next(OK);

exports.routeToSink = (next) => next(OK, { exchange: "127.0.0.1", port: Number(process.env.SINK_PORT) });
