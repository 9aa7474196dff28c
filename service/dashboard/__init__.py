"""The pages under ``/admin``: what the admin REST says and does, for people with a browser."""
