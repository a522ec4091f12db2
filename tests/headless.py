"""A real Chromium without a window: what a page's own script makes of it, what it asks of the network, how it looks."""

import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
# What the browser itself asks for in the background, on a blank page too.
ITS_OWN = re.compile(r'//[\w.-]+\.(google|googleapis|gstatic)\.com[:/]| [\w.-]+\.(google|googleapis|gstatic)\.com:')
# Runs the test's questions when the page is complete, and leaves the answers in the document.
PROBE = """<script>addEventListener('load', () => {
  const answers = document.createElement('pre');
  answers.id = 'answers';
  let said;
  try { said = (() => { %s })(); } catch (error) { said = {error: String(error)}; }
  answers.textContent = JSON.stringify(said);
  document.body.append(answers);
});</script>"""


class _Refusing(http.server.BaseHTTPRequestHandler):
    """A proxy that notes what is asked for, and gives nothing."""

    def refuse(self):
        self.server.asked.append(self.requestline)
        self.send_error(404)

    do_GET = do_POST = do_HEAD = do_CONNECT = refuse

    def log_message(self, *args):
        """Say nothing."""


@dataclass(frozen=True)
class Visit:
    """What came of a visit: the answers of the questions, and the requests of the page."""

    answers: dict
    requests: list


def browser():
    """The program, or an AssertionError that says how to get it."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, ('No Chromium is installed, in which the pages are tested: install it, as by `apt-get install -y '
                   'chromium`, which tools/run_tests.sh does for root.')
    return found


def visit(path, questions='return {};', fragment=''):
    """Open a copy of a page from a file, and ask questions in JavaScript when it is complete."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, 'page.html')
        with open(path, encoding='utf-8') as file, open(copy, 'w', encoding='utf-8') as probed:
            probed.write(file.read().replace('</body>', PROBE % questions + '</body>'))
        proxy = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Refusing)
        proxy.asked = []
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            dom = _run(folder, f'file://{copy}{fragment}', '--dump-dom', '--proxy-bypass-list=<-loopback>',
                       f'--proxy-server=127.0.0.1:{proxy.server_port}')
        finally:
            proxy.shutdown()
            proxy.server_close()
    answers = re.search('<pre id="answers">(.*?)</pre>', dom, flags=re.DOTALL)
    assert answers, f'the page did not load: {dom[:500]}'
    text = answers[1].replace('&lt;', '<').replace('&gt;', '>').replace('&nbsp;', '\xa0').replace('&amp;', '&')
    return Visit(json.loads(text), [line for line in proxy.asked if not ITS_OWN.search(line)])


def screenshot(path, picture, fragment='', size=(1300, 1000)):
    """Write a PNG of the page."""
    with tempfile.TemporaryDirectory() as folder:
        _run(folder, f'file://{path}{fragment}', f'--screenshot={picture}', '--hide-scrollbars',
             f'--window-size={size[0]},{size[1]}')


def _run(profile, address, *arguments):
    command = [
        browser(), '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync', f'--user-data-dir={profile}/profile',
        '--virtual-time-budget=10000', *arguments, address
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout
