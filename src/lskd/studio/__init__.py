"""The studio: a local web app to look at a corpus, to judge it, to compare systems and to ask them.

`app.create` takes the parts of a desk (a run, a store of people's work, students) and gives a web
app. One file a page: `explore`, `annotate`, `compare`, `ask`.
"""
