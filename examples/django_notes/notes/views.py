"""A page with a form and a search, and the search as JSON."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from notes.memory import recall, remember


class NoteForm(forms.Form):
    """A new note."""

    text = forms.CharField(max_length=10_000, widget=forms.Textarea)


@require_http_methods(["GET", "HEAD", "POST"])
def notes(request: HttpRequest) -> HttpResponse:
    """The form; a note that is sent is stored."""
    form = NoteForm(request.POST or None)
    if form.is_valid():
        remember(form.cleaned_data["text"])
        return redirect("/?stored=1")  # so that reloading the page stores nothing again
    page = {"form": form, "stored": "stored" in request.GET}
    return render(request, "notes/notes.html", page, status=400 if form.is_bound else 200)


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """The notes that fit `?q=words`."""
    words = request.GET.get("q", "")
    return render(request, "notes/notes.html", {"form": NoteForm(), "words": words, "hits": recall(words)})


@require_safe
def search_json(request: HttpRequest) -> HttpResponse:
    """The same for programs."""
    hits = recall(request.GET.get("q", ""))
    return JsonResponse({"results": [{"text": hit["content"], "score": hit["score"]} for hit in hits]})
