"""Each part of a running service, built from the configuration and from what stands below it. Nothing starts here:
``service.app`` starts."""
