"""A page with a form and a search, and the search as JSON; each user has their own notes."""

from __future__ import annotations

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from notes.memory import recall, remember


class NoteForm(forms.Form):
    """A new note."""

    text = forms.CharField(max_length=10_000, widget=forms.Textarea)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def notes(request: HttpRequest) -> HttpResponse:
    """Show the form, and store a submitted note."""
    form = NoteForm(request.POST or None)
    if form.is_valid():
        remember(request.user, form.cleaned_data["text"])
        return redirect("/?stored=1")  # so that reloading the page does not store it again
    page = {"form": form, "stored": "stored" in request.GET}
    return render(request, "notes/notes.html", page, status=400 if form.is_bound else 200)


@login_required
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Show the notes that match `?q=words`."""
    words = request.GET.get("q", "")
    page = {"form": NoteForm(), "words": words, "hits": recall(request.user, words)}
    return render(request, "notes/notes.html", page)


@require_safe
def search_json(request: HttpRequest) -> HttpResponse:
    """Return the same as JSON; with a status instead of the login page."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "log in first"}, status=401)
    hits = recall(request.user, request.GET.get("q", ""))
    return JsonResponse({"results": [{"text": hit["content"], "score": hit["score"]} for hit in hits]})
