// Tells who watches a video on any page, as PeerTube's player does, and shows how many do. See docs/pages.md.
// The files of this directory are put together, in one function of (w)indow, (d)ocument and (n)avigator, when they are
// served. Lines like this one and indentation are taken out: no line may depend on its beginning.
var script = d.currentScript || d.querySelector("script[src*='/v.js']");
var data = script.dataset;
var base = new URL(data.endpoint || script.src).origin + "/api/v1/";
// Whoever does not want to be followed is a viewer like any other, but says nothing of the program.
var quiet = n.globalPrivacyControl || (n.doNotTrack || w.doNotTrack) == 1;
var session = data.session || newSession();
var traits = quiet ? {} : program();
var config;

function newSession() {
  var letters = "abcdefghijklmnopqrstuvwxyz0123456789", id = "";
  crypto.getRandomValues(new Uint8Array(32)).forEach(function (byte) {
    id += letters[byte % 36];
  });
  return id;
}

function program() {
  var agent = n.userAgent;
  function first(pairs) {
    var found = pairs.filter(function (pair) {
      return pair[0].test(agent);
    })[0];
    return found && found[1];
  }
  return {
    client: first([[/Firefox|FxiOS/, "Firefox"], [/Edg/, "Edge"], [/OPR/, "Opera"], [/Chrome|CriOS/, "Chrome"], [/Safari/, "Safari"]]),
    operatingSystem: first([[/Windows/, "Windows"], [/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Mac OS X/, "macOS"], [/Linux/, "Linux"]]),
    device: /Mobi|Android|iPhone/.test(agent) ? "mobile" : "desktop"
  };
}

// How often to report; asked once.
function settings() {
  if (!config) {
    config = fetch(base + "config", { credentials: "omit" }).then(function (answer) {
      return answer.json();
    }).catch(function () {
      return {};
    });
  }
  return config;
}

function post(path, body, last) {
  var text = JSON.stringify(body);
  // As text nobody has to be asked beforehand.
  if (last) return n.sendBeacon(base + path, text);
  return fetch(base + path, { method: "POST", body: text, keepalive: true, credentials: "omit" }).catch(function () {});
}

function of(id, what) {
  return "videos/" + encodeURIComponent(id) + "/" + what;
}
