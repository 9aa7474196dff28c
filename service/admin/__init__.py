"""What administrators see and decide: for the admin REST and for the dashboard."""
