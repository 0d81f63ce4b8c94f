"Jupyter's settings for `make lab`: notebooks are cleaned when they are saved."
from nbdev.clean import clean_jupyter

c.ContentsManager.pre_save_hook = clean_jupyter  # noqa: F821
