"""URLs of the views."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from notes import views

urlpatterns = [
    path("", views.notes),
    path("search", views.search),
    path("api/search", views.search_json),
    path("login", LoginView.as_view(template_name="notes/login.html")),
    path("logout", LogoutView.as_view(next_page="/login")),
]
