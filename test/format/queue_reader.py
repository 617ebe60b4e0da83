#!/usr/bin/env python3
"""Reads a queue folder and prints what is in it as JSON. Written from docs/queue-format.md; shares no code with Postern.

usage: queue_reader.py [--checkpoint] FOLDER
"""
import hashlib
import json
import os
import re
import struct
import sys
from zlib import crc32

MARKER = bytes([0x9E, 0x51, 0xC3, 0x0A])
MESSAGE, SETTLED, SCHEDULE, REMOVE, DISCARD = 1, 2, 3, 4, 5


class Segment:
    def __init__(self, folder, name):
        self.number, self.salt = int(name[:10]), int(name[11:19], 16)
        with open(os.path.join(folder, name), "rb") as file:
            self.octets = file.read()
        start = self.octets[:32]
        sound = len(start) == 32 and start[:8] == b"POSTERNQ" and crc32(start[:28]) == struct.unpack_from("<I", start, 28)[0]
        if sound and struct.unpack_from("<H", start, 8)[0] != 1:
            sys.exit("a newer version")

    def header(self, at):
        octets = self.octets[at : at + 28]
        if len(octets) < 28 or octets[:4] != MARKER:
            return None
        kind, head, body, head_crc, body_crc, crc = struct.unpack_from("<B3xIIIII", octets, 4)
        if crc32(octets[:24], self.salt ^ at) != crc:
            return None
        return kind, head, body, head_crc, body_crc

    def record(self, at):
        """The record at a place that is known to be one."""
        kind, head, body, _, _ = self.header(at)
        start = at + 28
        return json.loads(self.octets[start : start + head]), self.octets[start + head : start + head + body]

    def records(self, at=32):
        """Each sound record: offset, kind, head, body."""
        octets = self.octets
        while 0 <= at < len(octets):
            header = self.header(at)
            if header is None:
                at = octets.find(MARKER, at + 1)
                continue
            kind, head, body, head_crc, body_crc = header
            end = at + 28 + head + body
            if end > len(octets):
                at = octets.find(MARKER, at + 28)
                continue
            head_octets = octets[at + 28 : at + 28 + head]
            body_octets = octets[at + 28 + head : end]
            if crc32(head_octets, self.salt) == head_crc and crc32(body_octets, self.salt) == body_crc:
                yield at, kind, json.loads(head_octets) if kind <= DISCARD else None, body_octets
            at = end


class Message:
    def __init__(self, head, body):
        self.head, self.body = head, body
        self.outcomes = {}
        self.settle(head.get("settled", []))
        self.schedule = head.get("schedule")

    def settle(self, settled):
        for one in settled:
            self.outcomes.setdefault(one["index"], one["outcome"])

    def content(self, spool):
        reference = self.head.get("spool")
        if reference is None:
            return self.body
        with open(os.path.join(spool, reference["file"]), "rb") as file:
            octets = file.read()
        if len(octets) != reference["bytes"] or crc32(octets) != reference["crc"]:
            return None
        return self.body + octets[reference.get("from", 0) :]


def read_checkpoint(path, segments):
    """Messages and the first place that is not covered; None when it is to be ignored."""
    try:
        with open(path, "rb") as file:
            octets = file.read()
    except FileNotFoundError:
        return None
    if octets[:8] != b"POSTERNC" or len(octets) < 32:
        return None
    version, covered_segment, covered_offset = struct.unpack_from("<H2xII", octets, 8)
    (crc,) = struct.unpack_from("<I", octets, 28)
    if version != 2 or crc32(octets[:28]) != crc:
        return None
    there = {segment.number: segment for segment in segments}
    oldest = min(there, default=1 << 32)
    messages, count, at, ended = {}, 0, 32, False
    while at < len(octets):
        if ended or at + 12 > len(octets):
            return None
        kind, length, expected = struct.unpack_from("<B3xII", octets, at)
        payload = octets[at + 12 : at + 12 + length]
        crc = crc32(payload, crc32(octets[at : at + 8], crc))
        if len(payload) != length or crc != expected or (kind == 1) != (at == 32):
            return None
        at += 12 + length
        if kind == 1:
            listed = set()
            for number, salt, size in struct.iter_unpack("<III", payload):
                listed.add(number)
                segment = there.get(number)
                if segment is None:
                    if number > oldest and size > 32:
                        return None
                elif segment.salt != salt or len(segment.octets) < size:
                    return None
            if any(number not in listed and number <= covered_segment for number in there):
                return None
        elif kind == 2:
            inside = 0
            while inside < length:
                id_length, flags, settled = struct.unpack_from("<BBI", payload, inside)
                inside += 6
                identity = payload[inside : inside + id_length].decode("ascii")
                inside += id_length + 12
                places = []
                for _ in range(1 + (flags >> 1 & 1) + settled):
                    places.append(struct.unpack_from("<III", payload, inside))
                    inside += 12
                count += 1
                if places[0][0] not in there:
                    continue
                message = Message(*there[places[0][0]].record(places[0][1]))
                rest = places[1:]
                if flags >> 1 & 1:
                    number, offset, _ = rest.pop(0)
                    message.schedule = there[number].record(offset)[0]["schedule"]
                for number, offset, _ in rest:
                    message.settle(there[number].record(offset)[0]["settled"])
                messages[identity] = message
        elif kind == 3:
            ended = struct.unpack("<I", payload)[0] == count
            if not ended:
                return None
    return (messages, covered_segment, covered_offset) if ended else None


def read_queue(folder, with_checkpoint):
    log = os.path.join(folder, "log")
    names = sorted(name for name in os.listdir(log) if re.fullmatch(r"\d{10}-[0-9a-f]{8}\.log", name))
    segments = [Segment(log, name) for name in names]
    discarded = {}
    for segment in segments:
        end = 32
        for at, kind, head, _ in segment.records():
            if at != end or kind != DISCARD:
                break
            discarded[head["segment"]] = head["from"]
            _, length, _, _, _ = segment.header(at)
            end = at + 28 + length
    checkpoint = read_checkpoint(os.path.join(folder, "checkpoint"), segments) if with_checkpoint else None
    messages, covered, offset = checkpoint or ({}, 0, 0)
    for segment in segments:
        if segment.number < covered:
            continue
        start = offset if segment.number == covered else 32
        for at, kind, head, body in segment.records(start):
            if at >= discarded.get(segment.number, 1 << 62):
                break
            if kind == MESSAGE:
                messages[head["message"]["id"]] = Message(head, body)
            elif kind == REMOVE:
                messages.pop(head["id"], None)
            elif kind == SETTLED and head["id"] in messages:
                messages[head["id"]].settle(head["settled"])
            elif kind == SCHEDULE and head["id"] in messages:
                messages[head["id"]].schedule = head["schedule"]
    return messages, checkpoint is not None


def main():
    with_checkpoint = "--checkpoint" in sys.argv[1:]
    folder = sys.argv[-1]
    messages, used = read_queue(folder, with_checkpoint)
    told = {}
    for identity, message in messages.items():
        recipients = range(len(message.head["message"]["envelope"]["recipients"]))
        content = message.content(os.path.join(folder, "spool"))
        told[identity] = {
            "message": message.head["message"],
            "pending": [index for index in recipients if index not in message.outcomes],
            "outcomes": {str(index): outcome for index, outcome in message.outcomes.items()},
            "schedule": message.schedule,
            "content": None if content is None else hashlib.sha256(content).hexdigest(),
        }
    json.dump({"checkpoint": used, "messages": told}, sys.stdout)


main()
