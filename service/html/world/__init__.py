"""A map of the world, drawn on the server: borders of Natural Earth as paths of SVG."""
