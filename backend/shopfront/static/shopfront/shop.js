"use strict";

// The shop page. Whatever comes from the server is shown through textContent only; every price and every refusal is the
// server's word, and the page never decides that anything is paid.
(() => {
  const PAGE = 12;
  const MOST_COURSES = 50;
  const SHORTEST_TIME_TO_PAY_MS = 60000;
  const MONEY = /^[0-9]{1,8}\.[0-9]{2}$/;
  const body = document.body;
  const texts = JSON.parse(body.dataset.texts);
  const byId = (id) => document.getElementById(id);

  // --- What is asked of GraphQL --------------------------------------------------------------------------------------

  const LOGIN = `mutation login($input: LoginInput!) {
    login(input: $input) {
      __typename
      ... on LoginSuccess { token user { username } }
      ... on RateLimited { retryAfterMs }
    }
  }`;
  const LOGOUT = `mutation logout { logout }`;
  const COURSES = `query courses($first: Int!, $after: String, $search: String) {
    courses(first: $first, after: $after, search: $search) {
      totalCount pageInfo { hasNextPage endCursor } edges { node { id name summary price owned } }
    }
  }`;
  const COURSE = `query course($id: ID!) { course(id: $id) { id name price owned } }`;
  const MY_COURSES = `query myCourses($first: Int!, $after: String) {
    myCourses(first: $first, after: $after) {
      totalCount pageInfo { hasNextPage endCursor } edges { node { id name summary price owned } }
    }
  }`;
  const ORDERS = `query orders($first: Int!, $after: String) {
    orders(first: $first, after: $after) {
      totalCount pageInfo { hasNextPage endCursor }
      edges { node {
        id number status totalAmount createdAt expiresAt paidAt payUrl serverTime lines { name }
        refundState refundedAmount refunds { amount status reason createdAt }
      } }
    }
  }`;
  const CREATE_ORDER = `mutation createOrder($input: CreateOrderInput!) {
    createOrder(input: $input) {
      __typename
      ... on CreateOrderSuccess { payUrl order { number status } }
      ... on InvalidInput { field }
      ... on CoursesUnavailable { courseIds }
      ... on AlreadyOwned { courseIds }
      ... on OpenOrderExists { payUrl order { id number totalAmount } }
      ... on PriceChanged { expectedTotal actualTotal }
      ... on RateLimited { retryAfterMs }
    }
  }`;
  const PAY_ORDER = `mutation payOrder($input: PayOrderInput!) {
    payOrder(input: $input) {
      __typename
      ... on PayOrderSuccess { payUrl }
      ... on InvalidInput { field }
      ... on RateLimited { retryAfterMs }
    }
  }`;
  const CANCEL_ORDER = `mutation cancelOrder($input: CancelOrderInput!) {
    cancelOrder(input: $input) {
      __typename
      ... on CancelOrderSuccess { order { number } }
      ... on OrderNotCancellable { order { status } }
    }
  }`;
  const CONFIRM_RETURN = `mutation confirmReturn($input: ConfirmReturnInput!) {
    confirmReturn(input: $input) {
      __typename
      ... on ConfirmReturnSuccess { order { outTradeNo } }
      ... on RateLimited { retryAfterMs }
    }
  }`;
  const POLL = `query poll($outTradeNo: String!) {
    order(outTradeNo: $outTradeNo) { status isTerminal nextPollAfterMs }
  }`;
  const RESULT = `query result($outTradeNo: String!) {
    order(outTradeNo: $outTradeNo) {
      id number outTradeNo status isTerminal nextPollAfterMs totalAmount tradeNo paidAt payUrl expiresAt serverTime
      refundState refundedAmount lines { name }
    }
  }`;

  // --- Small tools ---------------------------------------------------------------------------------------------------

  /** A sentence with its {holes} filled. */
  function say(name, values = {}) {
    const text = texts[name] ?? texts.FAILED;
    return text.replace(/\{(\w+)\}/g, (hole, key) => (key in values ? String(values[key]) : hole));
  }

  const when = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  const exactly = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" });

  function time(iso, format = when) {
    return iso ? format.format(new Date(iso)) : "—";
  }

  function fen(yuan) {
    if (!MONEY.test(yuan)) throw new TypeError(`not an amount: ${yuan}`);
    return Number(yuan.replace(".", ""));
  }

  function yuan(fenCount) {
    return `${Math.floor(fenCount / 100)}.${String(fenCount % 100).padStart(2, "0")}`;
  }

  /** Something kept for this tab. Storage may be refused; then the page works without a memory. */
  function kept(name) {
    try {
      return JSON.parse(sessionStorage.getItem(`coursepay.${name}`));
    } catch {
      return null;
    }
  }

  function keep(name, value) {
    try {
      if (value === null) sessionStorage.removeItem(`coursepay.${name}`);
      else sessionStorage.setItem(`coursepay.${name}`, JSON.stringify(value));
    } catch {
      // Nothing to be done about it, and nothing depends on it.
    }
  }

  function newKey() {
    if (crypto.randomUUID) return crypto.randomUUID(); // only there over HTTPS and on this machine
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** A copy of a template; `part(name)` finds what is named in it. */
  function copy(id) {
    const node = byId(id).content.firstElementChild.cloneNode(true);
    return { node, part: (name) => node.querySelector(`[data-part="${name}"]`) };
  }

  function notice(text, { tone = "info", leads = [] } = {}) {
    const box = document.createElement("div");
    box.className = "notice";
    box.dataset.tone = tone;
    const sentence = document.createElement("p");
    sentence.textContent = text;
    box.append(sentence, ...leads);
    byId("notice").replaceChildren(box);
    box.scrollIntoView({ block: "nearest" });
  }

  function clearNotice() {
    byId("notice").replaceChildren();
  }

  /** A web address, and nothing that a browser would run. */
  function isWebAddress(url) {
    try {
      return ["http:", "https:"].includes(new URL(url).protocol);
    } catch {
      return false;
    }
  }

  function goToCashier(url) {
    if (!isWebAddress(url)) return notice(say("FAILED"), { tone: "bad" });
    notice(say("toCashier"));
    return location.assign(url);
  }

  function linkTo(url, text) {
    const link = document.createElement("a");
    link.className = "button";
    link.href = url;
    link.textContent = text;
    return link;
  }

  function buttonFor(text, work) {
    const button = document.createElement("button");
    button.className = "button plain";
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => run(button, work));
    return button;
  }

  // --- Asking --------------------------------------------------------------------------------------------------------

  /** A question that got no answer of its own kind; `code` names a sentence. */
  class Failed extends Error {
    constructor(code) {
      super(code);
      this.code = code;
    }
  }

  let session = kept("session"); // { token, username } or null

  async function ask(query, variables = {}) {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    if (session) headers.Authorization = `Bearer ${session.token}`;
    let answer;
    try {
      const response = await fetch("/graphql", {
        method: "POST",
        headers,
        body: JSON.stringify({ query, variables }),
      });
      answer = await response.json();
    } catch {
      throw new Failed("OFFLINE");
    }
    const code = answer.errors?.[0]?.extensions?.code;
    if (answer.errors) throw new Failed(code in texts ? code : "FAILED");
    return answer.data;
  }

  /** Run what a button starts: once at a time, and whatever goes wrong becomes a sentence. */
  async function run(button, work) {
    if (button?.getAttribute("aria-busy") === "true") return;
    button?.setAttribute("aria-busy", "true");
    try {
      await work();
    } catch (error) {
      await failed(error);
    } finally {
      button?.removeAttribute("aria-busy");
    }
  }

  async function failed(error) {
    const code = error instanceof Failed ? error.code : "FAILED";
    if (!(error instanceof Failed)) console.error(error);
    if (code === "UNAUTHENTICATED") {
      setSession(null);
      openSignIn();
      reload().catch(() => {}); // the catalogue as a visitor sees it; the sentence below stays
    }
    notice(say(code), { tone: "bad" });
  }

  function secondsOf(refusal) {
    return Math.max(1, Math.ceil(refusal.retryAfterMs / 1000));
  }

  // --- Signing in and out --------------------------------------------------------------------------------------------

  const dialog = byId("sign-in-dialog");
  let afterSignIn = null;

  function setSession(next) {
    session = next;
    keep("session", next);
    byId("who").hidden = byId("sign-out").hidden = !next;
    byId("sign-in").hidden = Boolean(next);
    byId("who").textContent = next?.username ?? "";
  }

  function openSignIn(then = null) {
    afterSignIn = then;
    byId("sign-in-problem").textContent = "";
    if (!dialog.open) dialog.showModal();
    byId("username").focus();
  }

  async function signIn() {
    const input = { username: byId("username").value, password: byId("password").value };
    session = null; // a token that has ended must not stand in the way
    const { login } = await ask(LOGIN, { input });
    if (login.__typename !== "LoginSuccess") {
      const values = login.__typename === "RateLimited" ? { seconds: secondsOf(login) } : {};
      byId("sign-in-problem").textContent = say(login.__typename, values);
      byId("password").select();
      return;
    }
    setSession({ token: login.token, username: login.user.username });
    byId("password").value = "";
    const then = afterSignIn;
    dialog.close();
    notice(say("signedIn", { name: login.user.username }), { tone: "good" });
    await reload();
    await then?.();
  }

  async function trySignIn() {
    try {
      await signIn();
    } catch (error) {
      if (!dialog.open) throw error;
      byId("sign-in-problem").textContent = say(error instanceof Failed ? error.code : "FAILED");
    }
  }

  async function signOut() {
    try {
      await ask(LOGOUT);
    } catch (error) {
      if (error.code !== "UNAUTHENTICATED") throw error; // it had ended already: as good
    }
    setSession(null);
    if (body.dataset.mode === "shop") location.hash = "#courses";
    await reload();
    notice(say("signedOut"));
  }

  function startAccount() {
    setSession(session);
    byId("sign-in").addEventListener("click", () => openSignIn());
    byId("sign-in-cancel").addEventListener("click", () => dialog.close());
    byId("sign-out").addEventListener("click", (event) => run(event.currentTarget, signOut));
    dialog.addEventListener("close", () => {
      afterSignIn = null;
    });
    byId("sign-in-form").addEventListener("submit", (event) => {
      event.preventDefault();
      run(byId("sign-in-go"), trySignIn);
    });
  }

  // --- The basket ----------------------------------------------------------------------------------------------------

  const basket = new Map((kept("basket") ?? []).map((course) => [course.id, course]));

  function totalOf(courses) {
    return yuan(courses.reduce((sum, course) => sum + fen(course.price), 0));
  }

  function saveBasket() {
    keep("basket", basket.size ? [...basket.values()] : null);
    drawBasket();
    markCards();
  }

  function toggle(course) {
    if (basket.has(course.id)) basket.delete(course.id);
    else if (basket.size >= MOST_COURSES) return notice(say("basketFull"), { tone: "bad" });
    else basket.set(course.id, { id: course.id, name: course.name, price: course.price });
    return saveBasket();
  }

  function basketLine(course) {
    const { node, part } = copy("basket-line");
    part("name").textContent = course.name;
    part("price").textContent = `¥${course.price}`;
    part("remove").setAttribute("aria-label", say("removeNamed", { name: course.name }));
    part("remove").addEventListener("click", () => {
      toggle(course);
      byId("checkout").focus();
    });
    return node;
  }

  function drawBasket() {
    const courses = [...basket.values()];
    byId("basket").toggleAttribute("data-empty", courses.length === 0);
    byId("basket-count").textContent = courses.length ? say("basketCount", { count: courses.length }) : "";
    byId("basket-lines").replaceChildren(...courses.map(basketLine));
    byId("basket-total").textContent = `¥${totalOf(courses)}`;
  }

  /** Look the basket up again: prices as they are now, without what cannot be bought. */
  async function refreshBasket() {
    const answers = await Promise.all([...basket.keys()].map((id) => ask(COURSE, { id })));
    basket.clear();
    for (const { course } of answers) {
      if (course && !course.owned) basket.set(course.id, { id: course.id, name: course.name, price: course.price });
    }
    saveBasket();
  }

  // --- Ordering ------------------------------------------------------------------------------------------------------

  /** The key of this purchase. It is kept before the first request, so that a click after a lost answer repeats it. */
  function attemptFor(courses, totalAmount) {
    const wanted = courses.map((course) => course.id).sort().join(",");
    const last = kept("attempt");
    if (last && last.wanted === wanted && last.totalAmount === totalAmount) return last;
    const attempt = { key: newKey(), wanted, totalAmount };
    keep("attempt", attempt);
    return attempt;
  }

  async function order(courses) {
    if (!session) {
      openSignIn(() => order(courses.filter((course) => !ownedNow.has(course.id))));
      return;
    }
    if (courses.length === 0) return;
    clearNotice();
    const totalAmount = totalOf(courses);
    const attempt = attemptFor(courses, totalAmount);
    const input = { courseIds: courses.map((course) => course.id), totalAmount, idempotencyKey: attempt.key };
    const { createOrder } = await ask(CREATE_ORDER, { input });
    keep("attempt", null); // answered, whichever way: the next click is another purchase
    await answered(createOrder, courses);
  }

  async function answered(result, courses) {
    if (result.__typename !== "CreateOrderSuccess") return refused(result, courses);
    for (const course of courses) basket.delete(course.id);
    saveBasket();
    if (result.payUrl) return goToCashier(result.payUrl);
    const paid = result.order.status === "PAID";
    await show(paid ? "mine" : "orders");
    return notice(say(paid ? "freeDone" : "OrderNotPayable"), { tone: paid ? "good" : "bad" });
  }

  const REFUSALS = {
    async PriceChanged(result) {
      await refreshCatalogue();
      return [say("PriceChanged", { actual: result.actualTotal, expected: result.expectedTotal })];
    },
    OpenOrderExists(result) {
      const { number } = result.order;
      const cancel = buttonFor(say("cancelOrder"), () => askToCancel(result.order));
      if (!result.payUrl || !isWebAddress(result.payUrl)) return [say("OpenOrderEnding", { number }), cancel];
      return [say("OpenOrderExists", { number }), linkTo(result.payUrl, say("OpenOrderPay")), cancel];
    },
    OrderNotCancellable: (result) => [say("OrderNotCancellable", { status: say(result.order.status) })],
    AlreadyOwned: withoutCourses,
    CoursesUnavailable: withoutCourses,
    RateLimited: (result) => [say("RateLimited", { seconds: secondsOf(result) })],
    InvalidInput: (result) => [say("InvalidInput", { field: result.field })],
  };

  async function withoutCourses(result, courses) {
    const names = courses.filter((course) => result.courseIds.includes(course.id)).map((course) => course.name);
    await refreshCatalogue();
    return [say(result.__typename, { names: names.join(", ") || result.courseIds.join(", ") })];
  }

  /** A refusal of any result union as a friendly sentence, and what leads on from it. */
  async function refused(result, courses = []) {
    const explain = REFUSALS[result.__typename] ?? (() => [say(result.__typename)]);
    const [text, ...leads] = await explain(result, courses);
    notice(text, { tone: "bad", leads });
  }

  async function refreshCatalogue() {
    await refreshBasket();
    await lists.courses.load();
  }

  async function pay(order) {
    const { payOrder } = await ask(PAY_ORDER, { input: { orderId: order.id } });
    if (payOrder.__typename === "PayOrderSuccess") return goToCashier(payOrder.payUrl);
    await reload();
    if (payOrder.__typename !== "AlreadyOwned") return refused(payOrder);
    const cancel = buttonFor(say("cancelOrder"), () => askToCancel(order));
    return notice(say("AlreadyOwnedOrder"), { tone: "bad", leads: [cancel] });
  }

  // --- Cancelling ----------------------------------------------------------------------------------------------------

  const cancelDialog = byId("cancel-dialog");
  let toCancel = null; // the order that the dialog asks about

  function askToCancel(order) {
    toCancel = order;
    byId("cancel-which").textContent = say("cancelWhich", { number: order.number, amount: order.totalAmount });
    cancelDialog.showModal();
    byId("cancel-keep").focus();
  }

  async function cancel(order) {
    cancelDialog.close();
    const { cancelOrder } = await ask(CANCEL_ORDER, { input: { orderId: order.id } });
    await reload();
    if (cancelOrder.__typename !== "CancelOrderSuccess") return refused(cancelOrder);
    return notice(say("cancelDone", { number: cancelOrder.order.number }), { tone: "good" });
  }

  function startCancelling() {
    byId("cancel-keep").addEventListener("click", () => cancelDialog.close());
    byId("cancel-go").addEventListener("click", (event) => run(event.currentTarget, () => cancel(toCancel)));
  }

  /** Whether a new attempt may be asked for: the last one has ended, and a cashier still takes the order's time. */
  function canPayAgain(order) {
    const left = new Date(order.expiresAt) - new Date(order.serverTime);
    return order.status === "UNPAID" && !order.payUrl && left >= SHORTEST_TIME_TO_PAY_MS;
  }

  // --- Lists ---------------------------------------------------------------------------------------------------------

  const ownedNow = new Set();

  function courseCard(course) {
    const { node, part } = copy("course-card");
    node.dataset.course = course.id;
    part("letter").textContent = [...course.name.trim()][0]?.toUpperCase() ?? "";
    part("name").textContent = course.name;
    part("summary").textContent = course.summary;
    part("price").textContent = `¥${course.price}`;
    part("owned").textContent = say("owned");
    part("owned").hidden = part("learn").hidden = !course.owned;
    part("add").hidden = part("buy").hidden = course.owned;
    part("add").addEventListener("click", () => toggle(course));
    part("buy").addEventListener("click", (event) => run(event.currentTarget, () => order([course])));
    part("learn").addEventListener("click", () => notice(say("learning", { name: course.name })));
    if (course.owned) ownedNow.add(course.id);
    else ownedNow.delete(course.id);
    return node;
  }

  /** Which cards are in the basket. */
  function markCards() {
    for (const card of document.querySelectorAll("#course-list .card")) {
      const inBasket = basket.has(card.dataset.course);
      const add = card.querySelector('[data-part="add"]');
      card.toggleAttribute("data-in-basket", inBasket);
      add.setAttribute("aria-pressed", String(inBasket));
      add.textContent = say(inBasket ? "inBasket" : "addToBasket");
    }
  }

  function ownCard(course) {
    const node = courseCard({ ...course, owned: true });
    node.querySelector('[data-part="price"]').hidden = true;
    return node;
  }

  function timeOf(order) {
    if (order.status === "UNPAID" && order.payUrl) return say("payBy", { time: time(order.expiresAt) });
    if (order.status === "PAID") return say("paidAt", { time: time(order.paidAt) });
    return time(order.createdAt);
  }

  /** One sentence about an order that is not simply paid or waiting for its money. */
  function noteOf(order) {
    if (order.status === "PAID" || order.payUrl) return "";
    if (order.status === "UNPAID") return say(canPayAgain(order) ? "attemptOver" : "timeOver");
    if (givingBackFailed(order)) return say("endedTrouble");
    return say(`${order.status}${order.paidAt ? "Paid" : "More"}`);
  }

  /** Money that has to go back and that nothing moves now: a person has been told. */
  function givingBackFailed(order) {
    const stands = (status) => order.refunds.some((refund) => refund.status === status);
    return order.refundState !== "FULL" && stands("FAILED") && !stands("PENDING");
  }

  function refundLine(refund) {
    const { node, part } = copy("refund-line");
    node.dataset.status = refund.status;
    part("words").textContent = say(`refund${refund.status}`, { amount: refund.amount });
    part("when").textContent = time(refund.createdAt);
    part("reason").textContent = refund.reason;
    return node;
  }

  function drawRefunds(order, part) {
    const given = order.refundState !== "NONE";
    part("refund-state").hidden = part("refunded").hidden = !given;
    part("refund-state").dataset.refund = order.refundState;
    part("refund-state").textContent = given ? say(`refund${order.refundState}`) : "";
    part("refunded").textContent = given ? say("refundedSum", { amount: order.refundedAmount }) : "";
    part("refunds").replaceChildren(...order.refunds.map(refundLine));
    part("refunds").hidden = order.refunds.length === 0;
  }

  function orderRow(order) {
    const { node, part } = copy("order-row");
    part("status").textContent = say(order.status);
    part("status").dataset.status = order.status;
    part("when").textContent = timeOf(order);
    part("names").textContent = order.lines.map((line) => line.name).join(" · ");
    part("number").textContent = order.number;
    part("total").textContent = `¥${order.totalAmount}`;
    part("count").textContent = say("countCourses", { count: order.lines.length });
    part("note").textContent = noteOf(order);
    part("note").hidden = !noteOf(order);
    drawRefunds(order, part);
    part("cancel").hidden = order.status !== "UNPAID";
    part("cancel").addEventListener("click", () => askToCancel(order));
    part("pay").hidden = !order.payUrl && !canPayAgain(order);
    part("pay").textContent = say(order.payUrl ? "payNow" : "payAgain");
    part("pay").addEventListener("click", (event) => run(event.currentTarget, () => pay(order)));
    return node;
  }

  /** A list that grows page by page: `load()` begins anew, `more()` goes on. */
  function growingList({ list, empty, more, query, field, draw, none, variables = () => ({}), drawn = () => {} }) {
    let cursor = null;
    let newest = 0;
    async function fetchPage(after) {
      const mine = ++newest;
      const answer = (await ask(query, { first: PAGE, after, ...variables() }))[field];
      if (mine !== newest) return; // a later question overtook this one
      const rows = answer.edges.map((edge) => draw(edge.node));
      if (after) byId(list).append(...rows);
      else byId(list).replaceChildren(...rows);
      cursor = answer.pageInfo.endCursor;
      byId(more).hidden = !answer.pageInfo.hasNextPage;
      byId(empty).textContent = say(none);
      byId(empty).hidden = answer.totalCount > 0;
      drawn();
    }
    return { load: () => fetchPage(null), more: () => fetchPage(cursor) };
  }

  const lists = {
    courses: growingList({
      list: "course-list", empty: "courses-empty", more: "courses-more",
      query: COURSES, field: "courses", draw: courseCard, none: "noCourses", drawn: markCards,
      variables: () => ({ search: byId("search-words").value.trim() || null }),
    }),
    orders: growingList({
      list: "order-list", empty: "orders-empty", more: "orders-more",
      query: ORDERS, field: "orders", draw: orderRow, none: "noOrders",
    }),
    mine: growingList({
      list: "mine-list", empty: "mine-empty", more: "mine-more",
      query: MY_COURSES, field: "myCourses", draw: ownCard, none: "noMine",
    }),
  };

  // --- Views ---------------------------------------------------------------------------------------------------------

  function currentView() {
    const name = location.hash.slice(1);
    return name in lists ? name : "courses";
  }

  async function show(name) {
    if (currentView() !== name) history.pushState(null, "", `#${name}`);
    for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== name;
    for (const link of document.querySelectorAll(".views a")) {
      if (link.dataset.view === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (name === "courses" || session) await lists[name].load();
    else emptyForVisitors(name);
  }

  function emptyForVisitors(name) {
    byId(`${name === "orders" ? "order" : name}-list`).replaceChildren();
    byId(`${name}-more`).hidden = true;
    byId(`${name}-empty`).textContent = say(name === "orders" ? "noOrders" : "noMine");
    byId(`${name}-empty`).hidden = false;
    openSignIn();
  }

  function reload() {
    return body.dataset.mode === "result" ? showResult() : show(currentView());
  }

  function startShop() {
    for (const name of Object.keys(lists)) {
      byId(`${name}-more`).addEventListener("click", (event) => run(event.currentTarget, lists[name].more));
    }
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      run(null, lists.courses.load);
    });
    byId("checkout").addEventListener("click", (event) => run(event.currentTarget, () => order([...basket.values()])));
    byId("orders-reload").addEventListener("click", (event) => run(event.currentTarget, lists.orders.load));
    window.addEventListener("hashchange", () => {
      clearNotice();
      run(null, () => show(currentView()));
      byId(`${currentView()}-title`).focus({ preventScroll: true });
    });
    // Back from the cashier by the browser's own button: the page stands as it was left, the orders do not.
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) run(null, reload);
    });
    drawBasket();
    run(null, () => show(currentView()));
  }

  // --- The result page -----------------------------------------------------------------------------------------------

  let timer = 0;
  let shown = null; // the order on the page
  let watching = 0; // the newest watch; an older one that still waits for an answer gives up

  function drawResult(state, title, more = "") {
    byId("result").dataset.state = state;
    byId("result-title").textContent = say(title);
    byId("result-more").textContent = more && say(more);
    byId("result-sign-in").hidden = Boolean(session);
    for (const name of ["learn", "pay", "pay-again", "cancel"]) byId(`result-${name}`).hidden = true;
    byId("result-facts").hidden = true;
    byId("result-lines").replaceChildren();
  }

  function titleOf(order) {
    if (order.refundState === "FULL") return ["ended", "resultRefunded", "resultRefundedMore"];
    if (order.status === "PAID") return ["paid", "resultPaid", "resultPaidMore"];
    if (order.status === "UNPAID") return ["waiting", "resultWaiting", "resultWaitingMore"];
    const title = order.status === "CANCELLED" ? "resultCancelled" : "resultTimedOut";
    return ["ended", title, order.paidAt ? "resultEndedPaid" : "resultEndedMore"];
  }

  /** The facts that are known; the others' rows go. */
  function drawFacts(facts) {
    for (const name of ["number", "status", "trade", "paid", "count", "total", "refunded"]) {
      byId(`fact-${name}`).textContent = facts[name] ?? "";
      byId(`fact-${name}`).parentElement.hidden = !(name in facts);
    }
    byId("result-facts").hidden = false;
  }

  function drawOrder(order) {
    drawResult(...titleOf(order));
    const facts = {
      number: order.number, status: say(order.status), trade: order.tradeNo ?? "—",
      paid: time(order.paidAt, exactly), count: order.lines.length, total: `¥${order.totalAmount}`,
    };
    if (order.refundState !== "NONE") facts.refunded = `¥${order.refundedAmount}`;
    drawFacts(facts);
    byId("result-lines").replaceChildren(...order.lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line.name;
      return item;
    }));
    byId("result-learn").hidden = order.status !== "PAID" || order.refundState === "FULL";
    shown = order;
    byId("result-cancel").hidden = order.status !== "UNPAID";
    byId("result-pay-again").hidden = !canPayAgain(order);
    const payable = Boolean(order.payUrl) && isWebAddress(order.payUrl);
    byId("result-pay").hidden = !payable;
    if (payable) byId("result-pay").href = order.payUrl;
  }

  /** Look at the order until it has ended, as often as the server says. */
  async function watch(outTradeNo) {
    const mine = ++watching;
    clearTimeout(timer);
    const { order } = await ask(RESULT, { outTradeNo });
    if (mine !== watching) return;
    if (!order) {
      drawResult("unknown", "resultUnknown", "OrderNotFound");
      return;
    }
    drawOrder(order);
    if (!order.isTerminal) pollLater(mine, outTradeNo, order.nextPollAfterMs);
  }

  function pollLater(mine, outTradeNo, wait) {
    timer = setTimeout(() => poll(mine, outTradeNo), wait ?? 3000);
  }

  async function poll(mine, outTradeNo) {
    try {
      const { order } = await ask(POLL, { outTradeNo });
      if (mine !== watching) return;
      if (!order || order.isTerminal) await watch(outTradeNo);
      else pollLater(mine, outTradeNo, order.nextPollAfterMs);
    } catch (error) {
      if (mine !== watching) return;
      if (error.code === "UNAUTHENTICATED") await failed(error);
      else pollLater(mine, outTradeNo, 10000); // no connection, or a busy server: it will pass
    }
  }

  async function showResult() {
    watching += 1;
    clearTimeout(timer);
    const number = new URLSearchParams(location.search).get("out_trade_no");
    if (!number) {
      drawResult("unknown", "resultUnknown", "resultUnknownMore");
      byId("result-sign-in").hidden = true;
      return;
    }
    drawResult("looking", "resultLooking");
    if (session) await confirmSignedIn(number);
    else await confirmVisitor(watching, 3000);
  }

  async function confirmSignedIn(number) {
    const { confirmReturn } = await ask(CONFIRM_RETURN, { input: { query: location.search } });
    if (confirmReturn.__typename === "InvalidInput") notice(say("resultUnsigned"), { tone: "bad" });
    await watch(number); // also where Alipay was not asked just now: what we know is shown, and the jobs ask
  }

  /** Without a sign-in only what the signed address itself answers for: whether this number is paid. */
  async function confirmVisitor(mine, wait) {
    const response = await fetch(`/payments/alipay/return/${location.search}`, { headers: { Accept: "application/json" } });
    const answer = response.ok ? await response.json() : { verified: false };
    if (mine !== watching) return;
    if (!answer.verified || !answer.status) return drawResult("unknown", "resultUnknown", "resultWaitingAnonymous");
    if (answer.paid) return drawPaidForVisitor(answer);
    if (answer.status !== "UNPAID") return drawResult("ended", titleOf(answer)[1]);
    drawResult("waiting", "resultWaiting", "resultWaitingAnonymous");
    // Each of these asks Alipay: seldom, and ever more so.
    timer = setTimeout(() => run(null, () => confirmVisitor(mine, wait * 1.5)), wait);
    return undefined;
  }

  /** The signature was found good, so what the address says of the trade may be shown. */
  function drawPaidForVisitor(answer) {
    const signed = new URLSearchParams(location.search);
    drawResult("paid", "resultPaid", "resultPaidAnonymous");
    drawFacts({
      status: say(answer.status), trade: signed.get("trade_no") ?? "—", total: `¥${signed.get("total_amount") ?? ""}`,
    });
  }

  function startResult() {
    byId("result-sign-in").addEventListener("click", () => openSignIn());
    byId("result-cancel").addEventListener("click", () => askToCancel(shown));
    byId("result-pay-again").addEventListener("click", (event) => run(event.currentTarget, () => pay(shown)));
    run(null, showResult);
  }

  startAccount();
  startCancelling();
  if (body.dataset.mode === "result") startResult();
  else startShop();
})();
