"""Who joined, how well it played: LiveKit's telemetry for video. A room is a video, a participant a viewer."""
