"""The steps of a run, in files by what they make; `pipeline.STEPS` names each of them."""
