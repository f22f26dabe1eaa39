#!/usr/bin/env python3
"""A mock model without an account: Anthropic's Messages API and OpenAI's Responses API on a loopback port.

usage: mock_model_api.py LOGFILE MODE      prints its port on one line, then serves until it is ended

MODE  ok       every request is answered
      429once  the first request is refused with a rate limit, later ones are answered; 529once is the same for 529
      401, 403, 429, 500, 529   every request is refused
      quota    the account has no money left
      cut      the connection closes in the middle of each answer

Each turn is scripted: write hello.txt with a tool, run a command, print a last message. The step is the number of tool
results since the last plain prompt, so a resumed session repeats the turn. LOGFILE gets a JSON line for each request.
"""
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOG, MODE = sys.argv[1], sys.argv[2]
LOCK = threading.Lock()
COMMAND = "cat hello.txt; exit 3"
PATCH = "*** Begin Patch\n*** Add File: hello.txt\n+hello from the mock\n*** End Patch\n"
LAST_WORD = "Done: wrote hello.txt."

# MODE: HTTP status, Anthropic's type, OpenAI's code, message
FAULTS = {
    "401": (401, "authentication_error", "invalid_api_key", "invalid x-api-key"),
    "403": (403, "permission_error", None, "forbidden"),
    "429": (429, "rate_limit_error", "rate_limit_exceeded", "This request would exceed your rate limit"),
    "500": (500, "api_error", None, "Internal server error"),
    "529": (529, "overloaded_error", None, "Overloaded"),
    "quota": (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota, please check your plan."),
}


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests = 0

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self):
        if self.path.split("?")[0].endswith("/models"):
            self.send_json(200, {"object": "list", "data": [], "models": []})
        else:
            self.send_json(404, {"error": {"message": "not found"}})

    def do_POST(self):
        path = self.path.split("?")[0]
        try:
            body = json.loads(self.read_body() or b"{}")
        except ValueError:
            body = {}
        if path.endswith("/count_tokens"):
            return self.send_json(200, {"input_tokens": 10})
        answer = {"messages": self.answer_messages, "responses": self.answer_responses}.get(path.rsplit("/", 1)[-1])
        if answer is None:
            return self.send_json(404, {"error": {"message": "the mock has no " + path}})
        with LOCK:
            Model.requests += 1
            number = Model.requests
            with open(LOG, "a") as log:
                log.write(json.dumps({"path": self.path, "number": number, "body": body}) + "\n")
        mode = MODE if not MODE.endswith("once") else MODE[:-4] if number == 1 else "ok"
        if mode in FAULTS:
            return self.refuse(path, *FAULTS[mode])
        return answer(body)

    def read_body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def refuse(self, path, status, kind, code, message):
        headers = [("retry-after", "1")] if status == 429 else []
        if path.endswith("/messages"):
            error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_mock"}
        else:
            status = 503 if status == 529 else status
            error = {"error": {"message": message, "type": kind, "code": code}}
        self.send_json(status, error, headers)

    def send_json(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, value):
        self.wfile.write(f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()

    # --- Anthropic's Messages (Claude Code) ---

    def answer_messages(self, body):
        step = 0
        for message in body.get("messages", []):
            content = message.get("content")
            if message.get("role") != "user":
                continue
            results = [b for b in content if b.get("type") == "tool_result"] if isinstance(content, list) else []
            step = step + len(results) if results else 0
        tools = {tool.get("name") for tool in body.get("tools", [])}
        ident = f"msg_mock_{time.time_ns()}"
        if "Write" in tools and step == 0:
            call = ("Write", {"file_path": working_directory(body) + "/hello.txt", "content": "hello from the mock\n"})
        elif "Bash" in tools and step == 1:
            call = ("Bash", {"command": COMMAND, "description": "Show the file"})
        else:
            call = None
        usage = {"input_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
        message = {"id": ident, "type": "message", "role": "assistant", "model": body.get("model"), "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": usage}
        block = ({"type": "tool_use", "id": "toolu_" + ident, "name": call[0], "input": {}} if call
                 else {"type": "text", "text": ""})
        reason = "tool_use" if call else "end_turn"
        if not body.get("stream"):
            whole = {**block, "input": call[1]} if call else {**block, "text": LAST_WORD}
            return self.send_json(200, {**message, "content": [whole], "stop_reason": reason})
        self.begin_stream()
        self.event({"type": "message_start", "message": message})
        self.event({"type": "content_block_start", "index": 0, "content_block": block})
        if MODE == "cut":
            return None
        delta = ({"type": "input_json_delta", "partial_json": json.dumps(call[1])} if call
                 else {"type": "text_delta", "text": LAST_WORD})
        self.event({"type": "content_block_delta", "index": 0, "delta": delta})
        self.event({"type": "content_block_stop", "index": 0})
        self.event({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
                    "usage": {"output_tokens": 20}})
        self.event({"type": "message_stop"})
        return None

    # --- OpenAI's Responses (Codex) ---

    def answer_responses(self, body):
        step = 0
        for item in body.get("input", []):
            if item.get("type", "").endswith("_call_output"):
                step += 1
            elif item.get("type") == "message" and item.get("role") == "user":
                step = 0
        tools = {tool.get("name") or tool.get("type") for tool in body.get("tools", [])}
        shell = next((name for name in ("exec_command", "shell_command", "shell") if name in tools), None)
        command = {0: f"apply_patch <<'EOF'\n{PATCH}EOF", 1: COMMAND}.get(step) if shell else None
        if command:
            arguments = {"exec_command": {"cmd": command}, "shell_command": {"command": command},
                         "shell": {"command": ["bash", "-lc", command]}}[shell]
            item = {"type": "function_call", "id": f"fc_{step}", "call_id": f"call_{step}", "name": shell,
                    "arguments": json.dumps(arguments)}
        else:
            item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": LAST_WORD, "annotations": []}]}
        ident = f"resp_mock_{time.time_ns()}"
        self.begin_stream()
        self.event({"type": "response.created", "response": {"id": ident}})
        if MODE == "cut":
            return
        self.event({"type": "response.output_item.done", "output_index": 0, "item": item})
        usage = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 20,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 120}
        self.event({"type": "response.completed", "response": {"id": ident, "usage": usage}})


def working_directory(body):
    """Claude Code sends its working directory to the model, because its Write tool needs an absolute path."""
    said = re.search(r"orking directory: (/[^\\\"\n]*)", json.dumps(body))
    return said.group(1).rstrip() if said else "."


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
print(server.server_port, flush=True)
server.serve_forever()
