"""A small web server of one's own, with the faults that servers have."""

import http.server
from pathlib import Path


class FolderOfTheWeb(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; below ``/cut/N/`` it announces all of a file and sends N bytes, and ``/to/X`` leads to X."""

    asked = []

    def do_GET(self):  # noqa: D102
        self.asked.append(self.path)
        _, first, *rest = self.path.split('/')
        if first == 'to':
            self.send_response(302)
            self.send_header('Location', '/' + '/'.join(rest))
            self.end_headers()
        elif first == 'busy':
            self.send_error(503)
        elif first == 'cut':
            content = (Path(self.directory) / rest[1]).read_bytes()
            self.send_response(200)
            self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            self.wfile.write(content[:int(rest[0])])
        else:
            super().do_GET()

    def log_message(self, *args):  # noqa: D102
        pass
