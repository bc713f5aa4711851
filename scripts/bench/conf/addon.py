"""An allowlist of hosts that adds a credential for one of them."""
from mitmproxy import http

HOST, MANY, LARGE = "{{.Host}}", ".{{.Many}}", 65536


class Egress:
    def requestheaders(self, flow):
        flow.request.stream = int(flow.request.headers.get("content-length") or 0) > LARGE
        host = flow.request.pretty_host.lower().rstrip(".")
        if host != HOST and not host.endswith(MANY):
            flow.response = http.Response.make(403, b"not in the allowlist\n")
            return
        flow.request.headers.pop("authorization", None)
        if host == HOST:
            flow.request.headers["authorization"] = "Bearer {{.Token}}"

    def responseheaders(self, flow):
        h = flow.response.headers
        events = h.get("content-type", "").startswith("text/event-stream")
        flow.response.stream = events or int(h.get("content-length") or 0) > LARGE


addons = [Egress()]
