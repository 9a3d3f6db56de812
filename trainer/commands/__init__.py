"""The commands of `python -m trainer`: one typed function each, its flags derived from its
parameters. torch and whatever needs it are imported inside the functions, so that help is quick."""
