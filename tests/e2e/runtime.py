"""An agent runtime as they are in the field: aiohttp, strict about shapes and statuses, eight slots at once. Run by http-api-client.test.ts."""
import asyncio
import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import uuid

import aiohttp

URL, CACHE = sys.argv[1], sys.argv[2]
TOKEN = os.environ.get("RUNTIME_TOKEN")
SLOTS = 8


class Runtime:
    def __init__(self, session):
        self.session = session

    async def post(self, path, body, status=200):
        headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
        async with self.session.post(URL + path, json=body, headers=headers) as reply:
            assert reply.status == status, (path, reply.status, await reply.text())
            assert reply.headers["content-type"] == "application/json; charset=utf-8"
            return await reply.json()

    async def tool(self, slot, tool, timeout=30.0, **args):
        order = {"slot_id": slot, "tool": tool, "args": args, "execution_id": str(uuid.uuid4()), "timeout": timeout}
        reply = await self.post("/execute", order)
        assert set(reply) == {"success", "output", "error", "execution_id", "metadata"}, reply
        assert type(reply["success"]) is bool and type(reply["output"]) is str and type(reply["error"]) is str
        assert reply["execution_id"] == order["execution_id"] and type(reply["metadata"]) is dict
        return reply

    async def good(self, slot, tool, **args):
        reply = await self.tool(slot, tool, **args)
        assert reply["success"], reply
        return reply


def decode(text):
    """A strict line decoder of asciicast v2."""
    header, *events = [json.loads(line) for line in text.splitlines()]
    assert header["version"] == 2 and header["width"] == 100 and header["height"] == 30, header
    last = 0.0
    for time, code, data in events:
        assert isinstance(time, (int, float)) and time >= last and code in "oirm" and isinstance(data, str)
        last = time
    return "".join(data for _, code, data in events if code == "o")


async def episode(runtime, slot):
    assert (await runtime.post("/reset", {"slot_id": slot}))["output"] == f"Reset workspace for {slot}"
    written = await runtime.good(slot, "write_file", path="src/main.py", content=f"print('from {slot}')\n")
    assert written["metadata"] == {"path": "src/main.py", "size": len(f"print('from {slot}')\n")}
    ran = await runtime.good(slot, "bash", command="python3 src/main.py; echo warned >&2")
    assert ran["output"] == f"from {slot}\n[stderr]\nwarned", ran
    failed = await runtime.tool(slot, "bash", command="exit 7")
    assert not failed["success"] and failed["error"] == "Exit code: 7" and failed["metadata"]["exit_code"] == 7
    late = await runtime.tool(slot, "bash", timeout=0.5, command="echo begun; sleep 30")
    assert late["error"] == "Command timed out after 0.5s" and late["metadata"]["timeout"] is True, late

    await runtime.good(slot, "tmux", action="start", pane_width=100, pane_height=30)
    await runtime.good(slot, "bash_stateful", command=f"cd src; export WHO={slot}")
    state = await runtime.good(slot, "bash_stateful", command="pwd; echo $WHO")
    assert state["output"] == f"/workspace/src\n{slot}", state
    await runtime.good(slot, "tmux", action="send_keys", keys="seq 200 | LESSHISTFILE=- less -X", block=False)
    await runtime.good(slot, "tmux", action="send_keys", keys=["Enter"])
    for _ in range(100):
        screen = (await runtime.good(slot, "tmux", action="capture"))["output"]
        if "29" in screen:
            break
        await asyncio.sleep(0.05)
    assert "29" in screen and "120" not in screen, screen
    await runtime.good(slot, "tmux", action="send_keys", keys=["G"])
    for _ in range(100):
        if "(END)" in (await runtime.good(slot, "tmux", action="capture"))["output"]:
            break
        await asyncio.sleep(0.05)
    busy = await runtime.tool(slot, "bash_stateful", command="echo no")
    assert not busy["success"] and busy["error"], busy
    quit_pager = await runtime.good(slot, "tmux", action="send_keys", keys=["q"], block=True, max_wait_s=10)
    assert quit_pager["metadata"]["blocked"] is True

    seen = ""
    for _ in range(100):
        seen += (await runtime.good(slot, "tmux", action="stream"))["output"]
        if "(END)" in seen:
            break
        await asyncio.sleep(0.05)
    assert f"/workspace/src" in decode(seen)

    listed = await runtime.post("/artifacts/list", {"slot_id": slot, "path": ".", "recursive": True})
    assert [entry["path"] for entry in listed["entries"] if not entry["is_dir"]] == ["src/main.py"], listed
    read = await runtime.post("/artifacts/read", {"slot_id": slot, "path": "src/main.py", "include_sha256": True})
    assert read["sha256"] == hashlib.sha256(read["content"].encode()).hexdigest()
    packed = await runtime.post("/artifacts/archive", {"slot_id": slot})
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed["content"])), mode="r:gz") as archive:
        assert archive.extractfile("src/main.py").read().decode() == f"print('from {slot}')\n"
    missing = await runtime.post("/artifacts/read", {"slot_id": slot, "path": "none"}, status=404)
    assert missing == {"success": False, "error": "Not found: none"}


async def cut(runtime, slot):
    """A connection that is lost in the middle of a command; the same execution is sent again, up to three times."""
    order = {"slot_id": slot, "tool": "bash", "args": {"command": "echo ran >>times; sleep 1; cat times"}}
    order["execution_id"] = str(uuid.uuid4())
    tries = 0
    while True:
        tries += 1
        try:
            timeout = aiohttp.ClientTimeout(total=0.4 if tries < 3 else 30)
            headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
            async with aiohttp.ClientSession(timeout=timeout) as session:
                async with session.post(URL + "/execute", json=order, headers=headers) as reply:
                    body = await reply.json()
            break
        except (asyncio.TimeoutError, aiohttp.ClientError):
            assert tries < 3
    assert tries == 3 and body["success"] and body["output"] == "ran", (tries, body)


async def worktree(runtime, slot):
    """A bare repository that all slots share, and a worktree of it in each."""
    # Of another user than the slot's, where slots have users of their own.
    await runtime.good(slot, "bash", command="git config --global safe.directory '*'; git config --global user.email a@b; git config --global user.name agent")
    added = f"git -C {CACHE}/repo.git worktree add -b {slot}-work /workspace/tree-{slot} main"
    await runtime.good(slot, "bash_stateful", command=added)
    done = await runtime.good(slot, "bash_stateful", command=f"cd /workspace/tree-{slot}; cat README; echo {slot} >mine; git add mine; git commit -qm {slot}; git log --oneline | wc -l")
    assert done["output"] == "shared\n2", done


async def batch(runtime):
    orders = [{"slot_id": f"slot_{n % SLOTS}", "tool": "bash", "args": {"command": f"sleep 0.1; echo {n}"}} for n in range(3 * SLOTS)]
    replies = await runtime.post("/batch", orders)
    assert [reply["output"] for reply in replies] == [str(n) for n in range(3 * SLOTS)], replies


async def main():
    slots = [f"slot_{n}" for n in range(SLOTS)]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        runtime = Runtime(session)
        await asyncio.gather(*(episode(runtime, slot) for slot in slots))
        await batch(runtime)
        await cut(runtime, "slot_0")
        for slot in slots:
            await worktree(runtime, slot)
        await asyncio.gather(*(runtime.post("/reset", {"slot_id": slot}) for slot in slots))
    print("all held")


asyncio.run(main())
