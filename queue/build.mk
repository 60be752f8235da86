# What queue/ builds.
