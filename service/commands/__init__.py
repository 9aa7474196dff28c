"""What each command does once its line was read; doctor, moving, sim and sigtool have rooms of their own."""
