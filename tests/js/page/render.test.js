// From the tree to nodes, with a document that knows no more than making elements: whatever people
// write, it becomes elements of a few kinds, text, and links to harmless places.

import assert from "node:assert/strict";
import {test} from "node:test";

class Node {
  children = [];
  constructor(name) { this.name = name; }
  append(...children) { this.children.push(...children); }
}
globalThis.document = {createElement: (name) => new Node(name)};
globalThis.location = {origin: "https://chat.example"};
const {plain, rendered} = await import("../../../src/web/page/render.js");

const KINDS = ["p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"];
const PROPERTIES = ["name", "children", "dir", "tabIndex", "start", "href", "title", "target",
  "rel"];

function every(nodes) {
  return nodes.flatMap((node) => (typeof node === "string" ? [] : [node, ...every(node.children)]));
}

test("nothing but text and a few kinds of elements", () => {
  const written = "<img src=x onerror=alert(1)>\n**<b>** *`<i>`*\n> <script>\n\n- <svg>\n\n" +
    "1. [<u>](https://a.example/\"onclick=\"x)\n```<style>\n<iframe>\n```\njavascript:alert(1)";
  for (const node of every(rendered(written))) {
    assert.ok(KINDS.includes(node.name), node.name);
    for (const name of Object.keys(node)) assert.ok(PROPERTIES.includes(name), name);
  }
});

test("a link away opens beside the page and tells nothing of it", () => {
  const [link] = every(rendered("[a](https://b.example/c)")).filter(({name}) => name === "a");
  assert.equal(link.href, "https://b.example/c");
  assert.equal(link.target, "_blank");
  assert.equal(link.rel, "noopener noreferrer nofollow ugc");
});

test("a link to a room of this server stays in the page, and no other does", () => {
  const target = (href) => {
    const [link] = every(rendered(href)).filter(({name}) => name === "a");
    assert.equal(link.href, href);
    return link.target;
  };
  assert.equal(target("https://chat.example/r/den"), undefined);
  for (const away of ["https://chat.example/", "https://chat.example/openapi.json",
    "http://chat.example/r/den", "https://chat.example:8443/r/den", "https://b.example/r/den",
    "https://chat.example.b.example/r/den"]) {
    assert.equal(target(away), "_blank", away);
  }
});

test("each kind of thing is its element, around what it consists of", () => {
  const drawn = (nodes) => nodes.map((node) => (typeof node === "string" ? node :
    `<${node.name}>${drawn(node.children)}`)).join("");
  const is = (text, expected) => assert.equal(drawn(rendered(text)), expected);
  is("> a\n> > b", "<blockquote><p>a<blockquote><p>b");
  is("**a** *b* ~~c~~ `d`\ne", "<p><strong>a <em>b <s>c <code>d<br>e");
  is("- a\n\n3. b", "<ul><li>a<ol><li>b");
  is("```js\na\n```", "<pre><code>a");
  assert.equal(rendered("3. b")[0].start, 3);
  // What somebody quotes or lists may be of another script than the page.
  for (const text of ["> a", "- a", "1. a", "a"]) assert.equal(rendered(text)[0].dir, "auto");
});

test("what is read out has no markup, and an end", () => {
  const written = "**bold** and `code`\nnext [link](https://a.example/) \n\n> *quoted*\n> too\n" +
    "- one\n- two\n\n```js\nlet a;\n```";
  assert.equal(plain(written, 200), "bold and code next link quoted too one two let a;");
  assert.equal(plain("a".repeat(16_384), 200), `${"a".repeat(200)}…`);
  assert.equal(plain("😀".repeat(201), 200), `${"😀".repeat(200)}…`);
  assert.equal(plain("😀".repeat(200), 200), "😀".repeat(200));
});
