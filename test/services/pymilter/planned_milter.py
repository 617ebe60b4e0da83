"""A milter on the real libmilter that does what a plan says, and notes what it was told.

planned_milter.py SOCKET FOLDER VARIANT: plans are FOLDER/plans/CLIENT-ADDRESS.json, notes go to FOLDER/notes/TAG-CLIENT-ADDRESS, a JSON line
each, where TAG stands in FOLDER/tag. VARIANT is JSON: {"steps": flags to ask for, "actions": flags, "macros": {stage: names}}.

A plan maps events (connect, helo, envfrom, envrcpt, data, header, eoh, body, eom, unknown) to lists, one entry a call; the last one stays. An
entry is a word (accept, reject, discard, tempfail, skip, continue, noreply, die, rubbish), {"reply": [code, xcode, line, …]}, {"sleep": s, "ruling": entry}, or
at eom {"changes": [[name, argument, …], …], "ruling": entry}.
"""
import itertools
import json
import os
import sys
import time

import Milter
import milter

SOCKET, FOLDER, VARIANT = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
VERDICTS = {
    "accept": Milter.ACCEPT,
    "reject": Milter.REJECT,
    "discard": Milter.DISCARD,
    "tempfail": Milter.TEMPFAIL,
    "skip": Milter.SKIP,
    "continue": Milter.CONTINUE,
    "noreply": Milter.NOREPLY,
}
CONNECTIONS = itertools.count()
STAGES = {"connect": 0, "helo": 1, "mail": 2, "recipient": 3, "data": 4, "endOfMessage": 5, "endOfHeaders": 6}
NO_REPLY = {
    "connect": Milter.P_NR_CONN,
    "helo": Milter.P_NR_HELO,
    "envfrom": Milter.P_NR_MAIL,
    "envrcpt": Milter.P_NR_RCPT,
    "data": Milter.P_NR_DATA,
    "header": Milter.P_NR_HDR,
    "eoh": Milter.P_NR_EOH,
    "body": Milter.P_NR_BODY,
    "unknown": Milter.P_NR_UNKN,
}
MACROS = [
    "i", "j", "_", "v", "{daemon_name}", "{daemon_addr}", "{daemon_port}", "{client_addr}", "{client_name}", "{client_ptr}",
    "{client_resolve}", "{client_connections}", "{client_port}", "{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}",
    "{auth_type}", "{auth_authen}", "{auth_author}", "{auth_ssf}", "{if_name}", "{no_such_macro}", "{mail_addr}", "{mail_host}", "{mail_mailer}", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}",
]


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class Planned(Milter.Base):
    def __init__(self):
        self.plan, self.counts, self.notes = {}, {}, None
        self.connection = next(CONNECTIONS)

    def negotiate(self, options):
        self.steps = options[1] & VARIANT.get("steps", 0)
        options[0] = options[0] & VARIANT.get("actions", 0x1FF)
        options[1], options[2], options[3] = self.steps, 0, 0
        for stage, names in VARIANT.get("macros", {}).items():
            self._ctx.setsymlist(STAGES[stage], names)
        return Milter.CONTINUE

    def begin(self, address):
        self.plan, self.counts = {}, {}
        with open(os.path.join(FOLDER, "tag")) as file:
            tag = file.read().strip()
        self.notes = os.path.join(FOLDER, "notes", f"{tag}-{address}")
        try:
            with open(os.path.join(FOLDER, "plans", f"{address}.json")) as file:
                self.plan = json.load(file)
        except FileNotFoundError:
            pass

    def note(self, event, *args):
        if self.notes is None:
            return
        macros = {name: text(self.getsymval(name)) for name in MACROS if self.getsymval(name) is not None}
        line = {"connection": self.connection, "event": event, "args": [text(arg) for arg in args], "macros": macros}
        with open(self.notes, "a") as file:
            file.write(json.dumps(line) + "\n")

    def answer(self, event, *args):
        self.note(event, *args)
        entries = self.plan.get(event, [])
        count = self.counts[event] = self.counts.get(event, 0) + 1
        entry = entries[min(count, len(entries)) - 1] if entries else "continue"
        return self.carry_out(entry, event)

    def carry_out(self, entry, event):
        if isinstance(entry, str):
            if entry == "die":
                os._exit(1)
            verdict = VERDICTS[entry]
        elif "reply" in entry:
            code, extended, *lines = entry["reply"]
            self.setreply(code, extended, *lines)
            verdict = Milter.TEMPFAIL if code.startswith("4") else Milter.REJECT
        else:
            time.sleep(entry.get("sleep", 0))
            for name, *args in entry.get("changes", []):
                self.change(name, *args)
            return self.carry_out(entry.get("ruling", "continue"), event)
        return Milter.NOREPLY if self.steps & NO_REPLY.get(event, 0) else verdict

    def change(self, name, *args):
        try:
            self.try_to_change(name, *args)
        except milter.error as error:
            # Not in this version of the protocol.
            self.note("cannot", name, error)

    def try_to_change(self, name, *args):
        if name == "replacebody":
            self._ctx.replacebody(args[0].encode("latin-1"))
        elif name == "addheader":
            self._ctx.addheader(*args)
        elif name == "insheader":
            self._ctx.addheader(args[1], args[2], args[0])
        elif name == "chgheader":
            self._ctx.chgheader(args[0], args[1], args[2] if args[2] != "" else None)
        else:
            getattr(self._ctx, name)(*args)

    def connect(self, name, family, address):
        self.begin(address[0] if isinstance(address, tuple) else str(address))
        return self.answer("connect", name, address[0] if isinstance(address, tuple) else address)

    def hello(self, name):
        return self.answer("helo", name)

    def envfrom_bytes(self, *args):
        return self.answer("envfrom", *args)

    def envrcpt_bytes(self, *args):
        return self.answer("envrcpt", *args)

    def data(self):
        return self.answer("data")

    def header_bytes(self, name, value):
        return self.answer("header", name, value)

    def eoh(self):
        return self.answer("eoh")

    def body(self, chunk):
        self.pieces = getattr(self, "pieces", b"") + chunk
        entries = self.plan.get("body", [])
        count = self.counts["body"] = self.counts.get("body", 0) + 1
        return self.carry_out(entries[min(count, len(entries)) - 1] if entries else "continue", "body")

    def eom(self):
        pieces, self.pieces = getattr(self, "pieces", b""), b""
        self.note("body", pieces)
        return self.answer("eom")

    def unknown(self, line):
        return self.answer("unknown", line)

    def abort(self):
        self.pieces = b""
        self.note("abort")
        return Milter.CONTINUE

    def close(self):
        self.note("close")
        return Milter.CONTINUE


Milter.factory = Planned
Milter.set_flags(VARIANT.get("actions", 0x1FF))
Milter.runmilter("planned", SOCKET, 60)
