# The parts of messages as Python's email package sees them: a JSON line for each message in the file named as argument, in which each
# message follows its length in a line of its own.
import email, email.policy, hashlib, json, sys

with open(sys.argv[1], "rb") as batch:
    while header := batch.readline():
        message = email.message_from_bytes(batch.read(int(header)), policy=email.policy.compat32)
        parts = []
        for part in message.walk():
            if part.is_multipart():
                continue
            octets = part.get_payload(decode=True) or b""
            digest = hashlib.sha1(octets).hexdigest()
            parts.append([part.get_content_type(), part.get_filename(), len(octets), digest])
        print(json.dumps(parts))
