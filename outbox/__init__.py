"""The door out: a domain event becomes an activity and is delivered; ActivityPub documents of what is ours."""
