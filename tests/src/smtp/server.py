"""A mail server for one test.

In: a folder with `settings.json` (certificate, key, login, security, mechanisms to leave out) and
`answer` (how to behave, read anew for each mail). Out, into the same folder: `port` once it
listens, `mails.jsonl` with a line per mail that was taken, `clear.log` with every byte that came
without TLS.
"""

import asyncio
import base64
import email
import email.policy
import json
import os
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

FOLDER = pathlib.Path(sys.argv[1])
SETTINGS = json.loads((FOLDER / "settings.json").read_text())


def answer():
    return (FOLDER / "answer").read_text().strip()


def write_whole(name, text):
    """Whoever reads the file finds all of it or none."""
    new = FOLDER / (name + ".new")
    new.write_text(text)
    os.replace(new, FOLDER / name)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        how = answer()
        # `550 taro@example.test` is about one recipient, `550` about all.
        code, _, only = how.partition(" ")
        if code in ("451", "550") and only in ("", address):
            return f"{code} 5.0.0 secret words of the server"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if answer() == "silent":
            # For ever: the client ends it.
            await asyncio.get_running_loop().create_future()
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        taken = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "login": session.authenticated,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "body": mail.get_content(),
            "raw": base64.b64encode(envelope.original_content).decode(),
        }
        with open(FOLDER / "mails.jsonl", "a", encoding="utf-8") as mails:
            mails.write(json.dumps(taken, ensure_ascii=False) + "\n")
        if answer() == "rude":
            # It is taken, and the connection ends without a goodbye.
            await server.push("250 taken")
            server.transport.abort()
            return "250 taken"
        return "250 taken"


class Server(SMTP):
    def data_received(self, data):
        if self.transport.get_extra_info("ssl_object") is None:
            with open(FOLDER / "clear.log", "ab") as log:
                log.write(data)
        super().data_received(data)


def authenticate(server, session, envelope, mechanism, data):
    user, password = SETTINGS["user"].encode(), SETTINGS["password"].encode()
    right = data.login == user and data.password == password
    return AuthResult(success=right, handled=False)


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(SETTINGS["certificate"], SETTINGS["key"])
    security = SETTINGS["security"]

    def connection():
        return Server(
            Handler(),
            enable_SMTPUTF8=True,
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            authenticator=authenticate,
            auth_required=SETTINGS["user"] != "",
            auth_require_tls=security == "starttls",
            auth_exclude_mechanism=SETTINGS["without"],
            loop=asyncio.get_running_loop(),
        )

    wrapped = context if security == "tls" else None
    listener = await asyncio.get_running_loop().create_server(
        connection, "127.0.0.1", 0, ssl=wrapped
    )
    write_whole("port", str(listener.sockets[0].getsockname()[1]))
    await listener.serve_forever()


asyncio.run(main())
