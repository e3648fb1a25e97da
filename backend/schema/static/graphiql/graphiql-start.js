"use strict";

// Starts GraphiQL with a whole purchase in its tabs. Where a header or a variable holds only "…", what the answers of
// the earlier tabs brought is put in, so that pressing play from tab to tab walks through the purchase.
(() => {
  const HOLE = "…";
  const remembered = new Map(Object.entries(stored()));

  function stored() {
    try {
      return JSON.parse(sessionStorage.getItem("graphiql.remembered")) || {};
    } catch {
      return {};
    }
  }

  function remember(name, value) {
    if (value === undefined || value === null) return;
    remembered.set(name, value);
    sessionStorage.setItem("graphiql.remembered", JSON.stringify(Object.fromEntries(remembered)));
  }

  function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** Keep what later tabs need of an answer. */
  function learn(data) {
    if (!data) return;
    remember("token", data.login?.token);
    const course = data.courses?.edges?.map((edge) => edge.node).find((node) => !node.owned);
    if (course) {
      remember("courseIds", course.id);
      remember("totalAmount", course.price);
      remember("idempotencyKey", newKey()); // another basket is another purchase
    }
    const order = data.createOrder?.order;
    remember("orderId", order?.id);
    remember("outTradeNo", order?.outTradeNo);
    if (data.logout) remembered.delete("token");
  }

  /** The variables, with every "…" replaced by what is remembered under its name. */
  function filled(value, name) {
    if (value === HOLE) return remembered.get(name) ?? value;
    if (Array.isArray(value)) return value.map((item) => filled(item, name));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, key)]));
    }
    return value;
  }

  /** The headers; one that still has a hole is left out: it is a hint, and no header could carry that character. */
  function sendable(headers) {
    const ready = Object.entries(headers ?? {})
      .map(([name, value]) => [name, String(value).replace(HOLE, remembered.get("token") ?? HOLE)])
      .filter(([, value]) => !value.includes(HOLE));
    return Object.fromEntries(ready);
  }

  async function fetcher(params, options) {
    const answer = await fetch(location.pathname, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...sendable(options?.headers) },
      body: JSON.stringify({ ...params, variables: filled(params.variables) }),
    });
    const body = await answer.json();
    learn(body.data);
    return body;
  }

  function tab(operation) {
    return {
      query: operation.query.join("\n"),
      variables: operation.variables ? JSON.stringify(operation.variables, null, 2) : "",
      headers: JSON.stringify(operation.headers, null, 2),
    };
  }

  /** A storage that forgets: every load begins with the whole purchase, whatever was typed before. */
  function memory() {
    const items = new Map();
    return {
      getItem: (name) => items.get(name) ?? null,
      setItem: (name, value) => items.set(name, String(value)),
      removeItem: (name) => items.delete(name),
      clear: () => items.clear(),
      get length() {
        return items.size;
      },
    };
  }

  async function start(root) {
    const operations = await (await fetch(root.dataset.operations)).json();
    const tabs = operations.map(tab);
    const app = React.createElement(GraphiQL, {
      fetcher,
      defaultQuery: tabs[0].query,
      variables: tabs[0].variables, // of the first tab GraphiQL takes the query alone
      defaultTabs: tabs,
      defaultHeaders: JSON.stringify({ Authorization: `Bearer ${HOLE}` }, null, 2),
      defaultEditorToolsVisibility: "variables",
      shouldPersistHeaders: false,
      storage: memory(),
    });
    ReactDOM.createRoot(root).render(app);
  }

  start(document.getElementById("graphiql"));
})();
