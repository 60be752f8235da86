# What deliver/ builds.
