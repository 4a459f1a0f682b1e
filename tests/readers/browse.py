"""Looks at the pages as people do: in a browser, at the width of a phone and of a desk.

    browse.py crawl URL               follows every link; says what was wrong, as JSON
    browse.py shoot URL FOLDER PATH…  takes a picture of each page at both widths
"""

import json
import os
import sys
from urllib.parse import urldefrag, urljoin, urlsplit

from playwright.sync_api import sync_playwright

WIDTHS = {"phone": (375, 812), "desk": (1280, 900)}
MOST = 600


def open_browser(playwright):
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path="/usr/bin/chromium", args=args)


class Visit:
    """One context, and everything in it that ought not to happen."""

    def __init__(self, browser, base, width, **more):
        size = {"width": WIDTHS[width][0], "height": WIDTHS[width][1]}
        self.host = urlsplit(base).netloc
        self.width, self.problems = width, []
        self.context = browser.new_context(viewport=size, is_mobile=width == "phone", has_touch=width == "phone", **more)
        self.page = self.context.new_page()
        self.page.on("console", lambda said: self.problem(f"console {said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.problem(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.problem(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.context.on("request", lambda asked: self.asked(asked.url))
        self.context.on("requestfailed", lambda asked: self.problem(f"failed: {asked.url}"))

    def problem(self, told):
        self.problems.append(f"{self.width} {self.page.url}: {told}")

    def asked(self, url):
        if urlsplit(url).netloc != self.host:
            self.problem(f"asked another host: {url}")

    def go(self, url):
        answer = self.page.goto(url, wait_until="load")
        if answer.status >= 400:
            self.problem(f"status {answer.status}")
        return answer


LOOK = """() => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) wrong.push(`scrolls sideways: ${root.scrollWidth} in ${root.clientWidth}`);
  if (root.lang !== 'en') wrong.push('no language');
  if (document.querySelectorAll('h1').length !== 1) wrong.push('not one h1');
  let last = 0;
  for (const heading of document.querySelectorAll('h1,h2,h3,h4')) {
    const level = Number(heading.tagName[1]);
    if (level > last + 1) wrong.push(`heading out of order: ${heading.textContent}`);
    last = level;
  }
  for (const input of document.querySelectorAll('input:not([type=hidden]),select')) {
    if (!input.labels.length) wrong.push(`no label: ${input.name}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`id twice: ${id}`);
  for (const e of document.querySelectorAll('svg[role=img]')) {
    if (!document.getElementById(e.getAttribute('aria-labelledby'))) wrong.push('a picture without a name');
  }
  if (document.querySelector('script,img,iframe,object,embed,[style],[onerror],[onclick],[onload]')) wrong.push('active content');
  for (const a of document.querySelectorAll('a[href]')) {
    if (!['http:', 'https:'].includes(a.protocol)) wrong.push(`link to ${a.protocol}`);
    if (a.host !== location.host && !a.rel.includes('noreferrer')) wrong.push(`link elsewhere that tells: ${a.href}`);
  }
  // Contrast of text on what lies behind it, as WCAG counts it.
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const lum = ([r, g, b]) => [r, g, b].map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; })
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const seen = new Set();
  for (const e of document.querySelectorAll('main *, header *, footer *')) {
    if (e.closest('svg') || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [lum(parse(getComputedStyle(e).color)), lum(behind(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    const name = `${e.tagName}.${e.className}`;
    if (ratio < 4.5 && !seen.has(name)) { seen.add(name); wrong.push(`contrast ${ratio.toFixed(2)} of ${name}`); }
  }
  return wrong;
}"""


def crawl(browser, base):
    visited, problems, texts = {}, [], {}
    for width in WIDTHS:
        for scheme in ("light", "dark") if width == "phone" else ("light",):
            visit = Visit(browser, base, width, color_scheme=scheme)
            waiting, known = [base], {base}
            while waiting:
                url = waiting.pop(0)
                if len(known) > MOST:
                    problems.append("too many pages: the store of this story is to be small")
                    break
                answer = visit.go(url)
                kind = answer.headers.get("content-type", "")
                if not kind.startswith("text/html"):
                    continue
                if "script-src" in answer.headers["content-security-policy"]:
                    visit.problem("the policy speaks of scripts")
                for wrong in visit.page.evaluate(LOOK):
                    visit.problem(wrong)
                if width == "phone" and scheme == "light":
                    texts[url] = visit.page.inner_text("main")
                for link in visit.page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)"):
                    there = urldefrag(urljoin(url, link)).url
                    if urlsplit(there).netloc == visit.host and there not in known:
                        known.add(there)
                        waiting.append(there)
            visited[f"{width} {scheme}"] = sorted(urlsplit(url)._replace(scheme="", netloc="").geturl() for url in known)
            problems += visit.problems
            visit.context.close()
    return {"visited": visited, "problems": problems, "texts": texts}


def keyboard(browser, base):
    """The first things that Tab reaches, each with a mark that can be seen."""
    visit = Visit(browser, base, "desk")
    visit.go(base)
    reached = []
    for _ in range(8):
        visit.page.keyboard.press("Tab")
        reached.append(visit.page.evaluate("""() => {
          const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
          return [e.textContent.trim() || e.name, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 1, r.top >= 0 && r.left >= 0];
        }"""))
    visit.page.keyboard.press("Shift+Tab")
    visit.go(base)
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    skipped = visit.page.evaluate("document.activeElement.id")
    visit.context.close()
    return {"reached": reached, "skipped_to": skipped, "problems": visit.problems}


def scriptless(browser, base):
    """A search, a filter and another zone, by a browser that runs no script."""
    visit = Visit(browser, base, "phone", java_script_enabled=False)
    page = visit.page
    visit.go(base)
    page.fill("#q", "order")
    page.click(".search button")
    found = page.locator(".rows li").count()
    page.locator(".rows li a").first.click()
    hit = page.locator(".message").count()
    visit.go(urljoin(base, "/conversations"))
    page.click(".filter summary")
    page.check("#unanswered")
    page.click(".filter form button")
    filtered = page.url
    page.fill("#zone", "Asia/Tokyo")
    page.click(".zone button")
    zoned = page.url
    page.click("nav a:text('People')")
    carried = page.url
    visit.context.close()
    return {"found": found, "hit": hit, "filtered": filtered, "zoned": zoned, "carried": carried, "problems": visit.problems}


def shoot(browser, base, folder, paths):
    os.makedirs(folder, exist_ok=True)
    problems = []
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            visit = Visit(browser, base, width, color_scheme=scheme)
            for path in paths:
                visit.go(urljoin(base, path))
                name = path.strip("/").split("?")[0].replace("/", "-") or "overview"
                name = "conversation" if name.startswith("conversations-") else name
                name = "person" if name.startswith("people-") else name
                visit.page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=width == "phone")
            problems += visit.problems
            visit.context.close()
    return {"problems": problems}


def main():
    what, base, *more = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = open_browser(playwright)
        if what == "crawl":
            told = crawl(browser, base)
            told["keyboard"] = keyboard(browser, base)
            told["scriptless"] = scriptless(browser, base)
        else:
            told = shoot(browser, base, more[0], more[1:])
        browser.close()
    json.dump(told, sys.stdout)


main()
