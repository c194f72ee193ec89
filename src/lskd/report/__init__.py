"""Stage report: the tables of a run become its numbers and one page to open in a browser.

`census` reads the tables into `statistics`, `gallery` draws what is shown, `page` writes it.
"""
