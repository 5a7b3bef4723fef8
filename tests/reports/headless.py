"""A page opened in a real browser, as a file."""

import html
import json
import re
import subprocess

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)


def dump(chromium, folder, report, probe, dark=False):
    """Opens a page beside the report and gives the answer that its script leaves; nothing may be logged."""
    report.to_html(folder / "report.html")
    (folder / "probe.html").write_text(probe)
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [chromium, *QUIET, f"--user-data-dir={folder / 'profile'}", scheme, "--allow-file-access-from-files"]
    command += ["--virtual-time-budget=3000", "--dump-dom", (folder / "probe.html").as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    log = done.stderr.decode(errors="replace")
    assert not re.findall(r".*CONSOLE.*", log)
    answer = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert answer, log
    return json.loads(html.unescape(answer.group(1)))
