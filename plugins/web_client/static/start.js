// Starts converse.js with what the page says of this server. It asks no other host for anything: no
// list of providers, no ways to this server, which are known, and no pictures of sponsors, which its
// own footer would load.
class Footer extends HTMLElement {
  connectedCallback() {
    const link = document.createElement("a");
    link.href = "https://github.com/conversejs/converse.js";
    link.rel = "noreferrer";
    link.textContent = "converse.js";
    this.replaceChildren(link);
  }
}
customElements.define("converse-footer", Footer);

await import("../converse.min.js");
window.converse.initialize({
  ...JSON.parse(document.body.dataset.settings),
  allow_registration: false,
  authentication: "login",
  auto_reconnect: true,
  discover_connection_methods: false,
  providers_link: "",
  registration_providers_url: "",
  view_mode: "fullscreen",
});
