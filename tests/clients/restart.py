"""The server stops and dies under its clients: `python restart.py BINARY`.

First the conversation of talk.py, then two clients talk while the server is restarted, by SIGTERM
and by SIGKILL. By the protocol's rules alone both must hold the server's log afterwards, with
everything acknowledged in it, once.
"""

import asyncio
import collections
import os
import signal
import subprocess
import sys
import tempfile

from websockets.exceptions import ConnectionClosed

from talk import talk
from wire import PATIENCE, Client, check, history, main, make_room, sign_up

ROUNDS = [signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL]
# Acks that each client gets before the signal, and messages under way at once.
ACKS = 20
WINDOW = 8


class Server:
    """A process of its own, over a directory that outlives it."""

    def __init__(self, binary, directory):
        environment = {
            "PARLOR_LISTEN": "127.0.0.1:0",
            "PARLOR_LOG__FILTER": "error",
            "PARLOR_LIMITS__SIGN_INS_PER_MINUTE": "0",
            "PARLOR_LIMITS__MESSAGES_PER_SECOND": "0",
        }
        self.process = subprocess.Popen(
            [binary], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True,
        )
        start = "Parlor listens on "
        line = self.process.stdout.readline()
        check(line.startswith(start), f"the server starts: {line!r}")
        self.address = line.removeprefix(start).split(". ")[0]

    def end(self, with_signal):
        self.process.send_signal(with_signal)
        code = self.process.wait(PATIENCE)
        expected = 0 if with_signal == signal.SIGTERM else -with_signal
        check(code == expected, f"{with_signal.name}: exit code {code}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


async def talk_until_broken(client, enough):
    """Keeps talking and hearing until the connection ends; sets `enough` after ACKS acks."""
    target = len(client.acked) + ACKS
    try:
        while True:
            while len(client.unacked) < WINDOW:
                await client.say()
            if not await client.hear():
                return
            if len(client.acked) >= target:
                enough.set()
    except ConnectionClosed:
        return


async def one_round(server, clients, with_signal):
    events = [asyncio.Event() for _ in clients]
    tasks = []
    for client, event in zip(clients, events):
        await client.enter(server.address)
        tasks.append(asyncio.create_task(talk_until_broken(client, event)))
    waits = [asyncio.create_task(event.wait()) for event in events]
    # A client that fails ends first, and its failure is the one to tell.
    await asyncio.wait([asyncio.gather(*waits), *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            task.result()
    check(all(event.is_set() for event in events), "the connections hold until the signal")
    await asyncio.to_thread(server.end, with_signal)
    await asyncio.gather(*tasks)


def seqs_follow(messages, crashes):
    """Seqs rise one by one, but for one jump at most after each crash, which names its `prev`."""
    jumps = 0
    for before, message in zip([{"seq": 0}] + messages, messages):
        if "prev" in message:
            jumps += 1
            check(message["prev"] == before["seq"], f"prev is the one before: {message}")
        else:
            check(message["seq"] == before["seq"] + 1, f"no gap: {before}, {message}")
    check(jumps <= crashes, f"{jumps} jumps after {crashes} crashes")


async def restarts(binary, directory):
    with Server(binary, directory) as server:
        await talk(server.address)
        ann = await sign_up(server.address, "ann")
        ben = await sign_up(server.address, "ben")
        room = await make_room(server.address, ann, "Restarts")
        clients = [Client("ann", ann, room), Client("ben", ben, room)]
        await one_round(server, clients, ROUNDS[0])
    crashes = 0
    for with_signal in ROUNDS[1:]:
        with Server(binary, directory) as server:
            seqs_follow(await history(server.address, ann, room), crashes)
            await one_round(server, clients, with_signal)
        crashes += with_signal == signal.SIGKILL
    with Server(binary, directory) as server:
        for client in clients:
            await client.enter(server.address)
        for client in clients:
            await client.hear_until(lambda: not client.unacked, "the last acks")
        messages = await history(server.address, ann, room)
        seqs_follow(messages, crashes)
        log = {message["seq"]: message["message"] for message in messages}
        for client in clients:
            await client.hear_until(lambda: client.cursor == messages[-1]["seq"], "the end")
            check(client.log == log, f"{client.name} holds the server's log")
            for id, seq in client.acked.items():
                check(log.get(seq) == id, f"acknowledged, so there: {id}")
        doubles = [text for text, n in collections.Counter(log.values()).items() if n > 1]
        check(not doubles, f"no message twice: {doubles}")
        await asyncio.to_thread(server.end, signal.SIGTERM)
    names = ", ".join(with_signal.name for with_signal in ROUNDS)
    print(f"restarts by {names}: {len(log)} messages, each once, the same for all")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: restart.py BINARY")
    with tempfile.TemporaryDirectory() as place:
        main(restarts(os.path.abspath(sys.argv[1]), place))
