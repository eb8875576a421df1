"""Use cases of delivery: channels, rollouts, outcomes, and the one pure decision about a rollout's health."""
