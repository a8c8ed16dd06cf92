from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0017_approvals"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="jobdevice",
            name="jobdevice_waiting",
        ),
        migrations.AddIndex(
            model_name="jobdevice",
            index=models.Index(
                models.F("job"), models.F("id"), condition=models.Q(("state", "WAITING")), name="jobdevice_in_turn"
            ),
        ),
    ]
