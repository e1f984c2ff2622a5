"""Which address is which view."""

from django.urls import path

from notes import views

urlpatterns = [
    path("", views.notes),
    path("search", views.search),
    path("api/search", views.search_json),
]
