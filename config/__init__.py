"""Settings, policy and logging: the only reader of the environment."""
