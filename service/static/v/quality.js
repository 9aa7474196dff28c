// How one video plays: what went wrong since the last sample, and the samples.
function Quality(video, options) {
  var id = options.id, hls, player, sampling, askedAt, startup;
  var stalls = 0, stalled = 0, stalledAt, errors = 0, failures = 0, changes = 0, height = 0, bytes = 0, segments = 0, fetched = 0;
  var frames = counted();

  function counted() {
    var quality = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : {};
    return { total: quality.totalVideoFrames || 0, dropped: quality.droppedVideoFrames || 0, at: Date.now() };
  }

  function loaded(_, what) {
    var stats = (what.frag || {}).stats || {};
    bytes += stats.loaded || stats.total || 0;
    segments++;
  }

  function broken(_, problem) {
    if (problem.fatal) errors++;
    else if (/^fragLoad/.test(problem.details)) failures++;
  }

  function failed() {
    errors++;
  }

  // The player of hls.js or of video.js that the element belongs to, where there is one; it may be another one later.
  this.adopt = function (more) {
    if (more.hls && more.hls !== hls) {
      unhook();
      hls = more.hls;
      hls.on("hlsFragLoaded", loaded);
      hls.on("hlsError", broken);
    }
    if (more.player && more.player !== player) {
      player = more.player;
      player.on("error", failed);
    }
  };

  function unhook() {
    if (!hls) return;
    hls.off("hlsFragLoaded", loaded);
    hls.off("hlsError", broken);
  }

  // What video.js has fetched by its own HLS.
  function vhs() {
    var tech = player && !player.isDisposed() && player.tech(true);
    var stats = tech && tech.vhs && tech.vhs.stats;
    if (!stats) return;
    bytes += Math.max(0, stats.mediaBytesTransferred - fetched);
    fetched = stats.mediaBytesTransferred;
    return stats;
  }

  function sample() {
    var inside = vhs(), before = frames;
    frames = counted();
    if (video.paused && !stalls && !errors && !failures) return;
    if (stalledAt) {
      stalled += Date.now() - stalledAt;
      stalledAt = Date.now();
    }
    var shown = Math.max(0, frames.total - before.total), dropped = Math.max(0, frames.dropped - before.dropped);
    var passed = Math.min(Math.max(frames.at - before.at, 1), 3e5);
    // As PeerTube's player, for sums over all viewers.
    ask("metrics/playback", {
      videoId: id,
      playerMode: hls || inside ? "p2p-media-loader" : "web-video",
      resolution: video.videoHeight || 0,
      fps: Math.round(1e3 * shown / passed),
      p2pEnabled: false,
      resolutionChanges: changes,
      errors: errors,
      bufferStalled: stalls,
      downloadedBytesHTTP: bytes,
      downloadedBytesP2P: 0,
      uploadedBytesP2P: 0,
      sampled: true
    });
    // And how it plays for this viewer.
    ask(of(id, "playback"), {
      sessionId: session,
      viewerToken: options.token,
      duration: passed,
      height: video.videoHeight || 0,
      stalls: stalls,
      stalledTime: Math.min(stalled, passed),
      switches: changes,
      startupTime: startup,
      frames: shown,
      droppedFrames: Math.min(dropped, shown),
      errors: errors,
      failedSegments: failures,
      segments: segments || undefined,
      bytes: bytes || undefined,
      latency: hls && hls.latency ? Math.round(1e3 * hls.latency) : undefined
    });
    changes = errors = failures = stalls = stalled = bytes = segments = 0;
    startup = undefined;
  }

  function ask(path, body) {
    post(path, body).then(function (answer) {
      // A service that takes no samples, or does not know the video, is not asked again.
      if (answer && answer.status >= 400 && answer.status < 429) sampling = clearInterval(sampling);
    });
  }

  function wanted() {
    if (!askedAt) askedAt = Date.now();
  }

  function waiting() {
    // The first moments are no stall, and a seek is no fault of the network.
    if (!sampling || video.seeking || !video.currentTime || stalledAt) return;
    stalls++;
    stalledAt = Date.now();
  }

  function flowing() {
    if (askedAt > 0) startup = Date.now() - askedAt;
    askedAt = -1;
    settled();
  }

  // Whoever pauses or seeks while it stands still waits for nothing any more.
  function settled() {
    if (stalledAt) stalled += Date.now() - stalledAt;
    stalledAt = 0;
  }

  function resized() {
    if (height && height !== video.videoHeight) changes++;
    height = video.videoHeight;
  }

  this.start = function (found) {
    var metrics = (found.openTelemetry || {}).metrics || {};
    if (sampling || quiet || metrics.enabled === false) return;
    frames = counted();
    sampling = setInterval(sample, metrics.playbackStatsInterval || 15e3);
  };

  this.stop = function () {
    settled();
    if (sampling) sample();
    sampling = clearInterval(sampling);
  };

  this.release = unhook;

  this.events = [["play", wanted], ["playing", flowing], ["waiting", waiting], ["pause", settled], ["seeking", settled], ["resize", resized]];
  // video.js says itself what its element says.
  this.events.push(["error", function () {
    if (!player) failed();
  }]);
  this.adopt(options);
}
