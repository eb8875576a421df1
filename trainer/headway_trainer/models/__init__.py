"""The two networks of a distillation: the teacher and the student."""
