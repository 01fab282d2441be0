"""What a client needs: HTTP calls, a socket, and the rules by which it keeps a room's log."""

import asyncio
import json
import sys
import urllib.error
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

# Nothing takes longer, or it does not come at all.
PATIENCE = 60
PASSWORD = "correct horse"

# Whatever proxy the machine may have is not for this.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """Something that must hold does not."""


def check(condition, what):
    """Unlike `assert`, also holds under `python -O`."""
    if not condition:
        raise Failed(what)


def main(coroutine):
    """Runs it; a failure is one line and exit code 1."""
    try:
        asyncio.run(coroutine)
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")


async def within(what, awaitable):
    try:
        return await asyncio.wait_for(awaitable, PATIENCE)
    except asyncio.TimeoutError:
        raise Failed(f"waited in vain for {what}") from None


def _call(method, url, token, body):
    headers = {"content-type": "application/json"} if body is not None else {}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with _opener.open(request, timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


async def call(method, address, path, token=None, body=None):
    """Status and body of an answer; `address` is host and port."""
    url = f"http://{address}/api/v1{path}"
    return await asyncio.to_thread(_call, method, url, token, body)


async def sign_up(address, username):
    """A token."""
    body = {"username": username, "password": PASSWORD}
    status, answer = await call("POST", address, "/signup", body=body)
    check(status == 201, f"signup: {status} {answer}")
    return answer["token"]


async def make_room(address, token, name):
    """The room's id."""
    status, answer = await call("POST", address, "/rooms", token, {"name": name})
    check(status == 201, f"a room: {status} {answer}")
    return answer["room"]["roomId"]


async def history(address, token, room):
    """All messages, page by page."""
    messages, after = [], 0
    while True:
        path = f"/rooms/{room}/messages?after={after}&limit=200"
        status, page = await call("GET", address, path, token)
        check(status == 200, f"history: {status} {page}")
        messages += page["messages"]
        if not page["hasMore"]:
            return messages
        after = messages[-1]["seq"]


def socket(address, token):
    """To be used in `async with`."""
    return connect(f"ws://{address}/ws?token={token}", proxy=None, open_timeout=PATIENCE)


async def receive(ws):
    return json.loads(await within("a frame", ws.recv()))


async def receive_type(ws, kind):
    """The next frame of this type, whatever comes before it."""
    while True:
        frame = await receive(ws)
        check(frame["type"] != "error", f"waiting for {kind}: {frame}")
        if frame["type"] == kind:
            return frame


class Client:
    """Someone in one room, who keeps its log, one cursor, and what is not acknowledged yet."""

    def __init__(self, name, token, room):
        self.name, self.token, self.room = name, token, room
        self.log = {}  # seq to text, in the order in which it was heard
        self.cursor = 0
        self.unacked = {}  # id to text
        self.acked = {}  # id to seq
        self.said = 0
        self.ws = None

    async def enter(self, address):
        """Joins, behind the cursor, and sends again what has no ack."""
        self.ws = await within("a connection", socket(address, self.token))
        hello = await receive(self.ws)
        check(hello["type"] == "hello", f"first a hello: {hello}")
        await self.send(type="join_room", roomId=self.room, after=self.cursor)
        joined = await receive_type(self.ws, "joined")
        self._discard_above(joined["head"])
        self.cursor = min(self.cursor, joined["head"])
        for id, text in list(self.unacked.items()):
            await self.send(type="chat", roomId=self.room, message=text, id=id)

    async def send(self, **frame):
        await self.ws.send(json.dumps(frame))

    async def say(self, text=None):
        """Gives the id."""
        self.said += 1
        id = f"{self.name}-{self.said:06}"
        text = text or id
        self.unacked[id] = text
        await self.send(type="chat", roomId=self.room, message=text, id=id)
        return id

    async def hear(self):
        """Takes in one frame; `False` when the connection has ended."""
        try:
            frame = await receive(self.ws)
        except ConnectionClosed:
            return False
        if frame["type"] == "error":
            # What can be tried again has no ack: it is sent again behind the next join.
            check(frame["retryable"], f"{self.name}: {frame}")
        elif frame["type"] == "chat":
            self._chat(frame)
        elif frame["type"] == "ack":
            before = self.acked.setdefault(frame["id"], frame["seq"])
            check(before == frame["seq"], f"one id, two seqs: {before}, {frame}")
            self.unacked.pop(frame["id"], None)
        return True

    async def hear_until(self, done, what):
        while not done():
            check(await self.hear(), f"{self.name}: the connection ended before {what}")

    async def leave(self):
        await self.ws.close()

    def _chat(self, frame):
        seq = frame["seq"]
        check(seq > self.cursor, f"{self.name}: seq {seq} after {self.cursor}")
        if "prev" in frame:
            self._discard_above(frame["prev"])
        self.log[seq] = frame["message"]
        self.cursor = seq

    def _discard_above(self, last):
        self.log = {seq: text for seq, text in self.log.items() if seq <= last}
