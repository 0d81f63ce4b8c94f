// Visits every page of a rendered site in a browser: site.mjs FOLDER [PAGE ...]. A line a check, with counts; exits with 1 where one
// fails. Each check has to find the fault that is planted for it on one more page.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { createRequire } from "node:module";

const [folder, ...only] = process.argv.slice(2);
const require = createRequire(path.resolve(".cache/site/package.json"));
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const TYPES = { html: "text/html", css: "text/css", js: "text/javascript", json: "application/json", svg: "image/svg+xml", png: "image/png",
  ico: "image/x-icon", woff: "font/woff", woff2: "font/woff2", xml: "text/xml", txt: "text/plain" };

// name of a check -> what should hold, problems, how many things were looked at
const CHECKS = { links: "links and anchors lead somewhere", console: "no error in the console", requests: "nothing is asked of another host",
  light: "axe finds nothing serious in light colours", dark: "axe finds nothing serious in dark colours",
  text: "no address of memory, no bare *args, **kwargs", strangers: "a name in code leads to another library only if it is a class or a full path",
  alt: "every figure has a text in its place", phone: "no page is wider than a phone of 390 pixels" };
const problems = Object.fromEntries(Object.keys(CHECKS).map(k => [k, []])), seen = Object.fromEntries(Object.keys(CHECKS).map(k => [k, 0]));
const told = (check, page, what) => problems[check].push(`${page}: ${what}`);

function files(dir) {
  return fs.readdirSync(dir, { withFileTypes: true }).flatMap(e => e.isDirectory() ? files(path.join(dir, e.name)) : [path.join(dir, e.name)]);
}

const PLANTED = `<!doctype html><html lang="en"><title>Faults</title><main><h1 id="top">Faults</h1>
<a href="nowhere.html">a</a> <a href="planted.html#nowhere">b</a> <a href="https://nbdev.fast.ai/x.html"><code>run</code></a>
<p style="color:#ccc;background:#eee">too pale</p> &lt;object at 0x7f2f4ffcd9d0&gt; f(*args, **kwargs) <img src="https://example.org/a.png">
<div style="width:900px">wide</div></main><script>console.error("a fault")</script></html>`;

const server = http.createServer((request, response) => {
  if (request.url === "/planted.html") { response.writeHead(200, { "content-type": "text/html" }); response.end(PLANTED); return; }
  const name = path.join(folder, decodeURIComponent(new URL(request.url, "http://x").pathname));
  const file = fs.existsSync(name) && fs.statSync(name).isDirectory() ? path.join(name, "index.html") : name;
  if (!fs.existsSync(file)) { response.writeHead(404); response.end(); return; }
  response.writeHead(200, { "content-type": TYPES[file.split(".").pop()] || "application/octet-stream" });
  fs.createReadStream(file).pipe(response);
});
await new Promise(ready => server.listen(0, "127.0.0.1", ready));
const origin = `http://127.0.0.1:${server.address().port}`;
const all = files(folder).filter(f => f.endsWith(".html") && !f.includes("site_libs")).map(f => path.relative(folder, f)).sort();
const pages = only.length ? only : all;

// What a page holds, read in the browser.
function read() {
  const main = document.querySelector("main") || document.body;
  const href = a => a.getAttribute("href");
  const codes = [...document.querySelectorAll("a > code")].map(c => [c.textContent, c.parentElement.href]);
  return {
    links: [...new Set([...document.querySelectorAll("a[href]")].filter(a => !/^(javascript|mailto|data):/.test(href(a))).map(a => a.href))],
    ids: [...document.querySelectorAll("[id], a[name]")].map(e => e.id || e.name),
    text: main.innerText, codes,
    images: [...main.querySelectorAll("img, svg[role=img]")].map(i => [i.getAttribute("alt") ?? i.getAttribute("aria-label"), (i.src || "").slice(-60)]),
    wide: document.documentElement.scrollWidth,
  };
}

// The widest things of a page, for the message.
function widest() {
  const held = e => { for (let p = e.parentElement; p; p = p.parentElement) if (["auto", "scroll", "hidden"].includes(getComputedStyle(p).overflowX)) return true; };
  return [...document.querySelectorAll("main *, header *, nav *, footer *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !held(e))
    .slice(0, 3).map(e => `${e.tagName.toLowerCase()}.${String(e.className.baseVal ?? e.className).split(" ")[0]} '${(e.textContent || "").trim().slice(0, 30)}'`);
}

async function serious(page, name, check) {
  await page.evaluate(axe);
  const options = { resultTypes: ["violations"], rules: { "color-contrast": { enabled: true } } };
  const found = await page.evaluate(o => window.axe.run(document, o), options);
  seen[check] += 1;
  for (const v of found.violations.filter(v => ["serious", "critical"].includes(v.impact)))
    told(check, name, `${v.id}: ${v.help} (${v.nodes.length} times, first ${v.nodes[0].target.join(" ")} ${v.nodes[0].html.slice(0, 120).replace(/\s+/g, " ")})`);
}

async function visit(browser, name, contents) {
  for (const scheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: scheme });
    const page = await context.newPage();
    page.on("console", m => { if (m.type() === "error") told("console", name, m.text().slice(0, 200)); });
    page.on("pageerror", e => told("console", name, String(e).slice(0, 200)));
    await page.route("**/*", route => {
      const url = route.request().url();
      if (url.startsWith(origin) || /^(data|blob):/.test(url)) return route.continue();
      told("requests", name, url.slice(0, 120));
      return route.abort();
    });
    page.on("request", () => { seen.requests += 1; });
    await page.goto(`${origin}/${name}`, { waitUntil: "load" });
    if (scheme === "light") {
      contents[name] = await page.evaluate(read);
      await serious(page, name, "light");
      await page.setViewportSize({ width: 390, height: 844 });
      await page.waitForTimeout(150);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      seen.phone += 1;
      if (wide > 393) told("phone", name, `${wide} pixels wide: ${(await page.evaluate(widest)).join("; ")}`);
    } else await serious(page, name, "dark");
    seen.console += 1;
    await context.close();
  }
}

const contents = {};
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
const queue = ["planted.html", ...pages];
await Promise.all([0, 1].map(async () => { for (let name; (name = queue.shift());) await visit(browser, name, contents); }));

// Links are resolved on the files, once all pages have been read; a page that was not asked for is read without its anchors.
for (const [name, { links, text, codes, images }] of Object.entries(contents)) {
  for (const link of links.filter(l => l.startsWith(origin))) {
    const url = new URL(link), file = decodeURIComponent(url.pathname).slice(1) || "index.html", anchor = decodeURIComponent(url.hash.slice(1));
    seen.links += 1;
    if (file !== "planted.html" && !fs.existsSync(path.join(folder, file))) told("links", name, `${file} is not there`);
    else if (anchor && contents[file] && !contents[file].ids.includes(anchor)) told("links", name, `${file}#${anchor}: no such anchor`);
  }
  seen.text += 1;
  for (const m of new Set(text.match(/0x[0-9a-f]{6,}|\(\s*\*args(:\w+)?,\s*\*\*kwargs(:\w+)?\s*\)/g) || [])) told("text", name, m.replace(/\s+/g, " "));
  for (const [code, href] of codes) {
    seen.strangers += 1;
    if (!href.startsWith(origin) && !/^[A-Z]|\w+\.\w+\./.test(code)) told("strangers", name, `\`${code}\` leads to ${href}`);
  }
  for (const [alt, src] of images) { seen.alt += 1; if (!alt?.trim()) told("alt", name, src || "a drawing"); }
}
await browser.close();
server.close();

let failed = 0;
for (const [check, what] of Object.entries(CHECKS)) {
  const bad = problems[check].filter(line => !line.startsWith("planted.html: "));
  if (bad.length === problems[check].length) bad.push("the fault that was planted for this check was not found");
  failed += bad.length > 0;
  console.log(`${bad.length ? "FAILED" : "ok    "} ${check.padEnd(10)} ${String(seen[check]).padStart(6)} seen, ${bad.length} wrong: ${what}`);
  for (const line of bad.slice(0, Number(process.env.LINES || 25))) console.log(`        ${line}`);
}
console.log(`${pages.length} pages at 1280 and 390 pixels, in light and dark: ${Object.keys(CHECKS).length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
